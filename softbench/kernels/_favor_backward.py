"""FAVOR+ backward, block by block: through the queries to the sums, and from these to the keys.

With S the sums and G = [g, -g·out] / denominator: `dφ_q = G Sᵀ`, `dS = φ_qᵀ G`, `dφ_k = [v, 1] dSᵀ`
and `dv = φ_k dS`. Sums of dφ∘e over features, which norms need, take no pass of their own: a
query's is `-ε G·Σ_r S`, as G is normal to `[numerator, denominator]`; a key's `[v, 1]·(e dS)`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from softbench.inverse._precision import full_precision
from softbench.kernels import _favor_maxima
from softbench.kernels._favor_blocks import Blocks, Kind, sum_with_count


def backward(
    grad: Tensor,
    inputs: Sequence[Tensor],
    kept: Sequence[Tensor],
    gradients: Sequence[Tensor],
    kind: Kind,
) -> None:
    """Fill the gradients of q, k and v from what the forward kept, see `favor.py`."""
    q, k, v, w = inputs
    out, sums, shift_q, shift_k, denominators, largest = kept
    dq, dk, dv = gradients
    with full_precision(q.device):
        blocks = Blocks(q, w, 2)
        for at in blocks.heads(q):
            of_queries = (grad[at], q[at], out[at], shift_q[at], denominators[at])
            of_keys = (k[at], v[at], shift_k[at], largest[at])
            # No name for the gradient of the sums: it goes before that of the next heads comes.
            _keys(
                of_keys,
                _queries(of_queries, sums[at], blocks, kind, dq[at]),
                blocks,
                kind,
                (dk[at], dv[at]),
            )


def _queries(
    given: Sequence[Tensor], sums_GRC: Tensor, blocks: Blocks, kind: Kind, dq_GND: Tensor
) -> Tensor:
    """[G, R, C]: the gradient of the sums; fills that of the queries."""
    grad_GND, q_GND, out_GND, shift_GN1, denominators_GN1 = given
    dsums_GRC = torch.zeros_like(sums_GRC)
    rest_G1C = kind.epsilon * sums_GRC.sum(1, keepdim=True)
    total_G1C = torch.zeros_like(rest_G1C)
    for part in blocks.tokens(q_GND):
        q_GTD = q_GND[:, part]
        e_GTR = blocks.raw(q_GTD)
        peaks_GTR = _favor_maxima.of_tokens(e_GTR) if kind.through_maxima else None
        _finish(e_GTR, shift_GN1[:, part], kind)
        given_part = (grad_GND[:, part], out_GND[:, part], denominators_GN1[:, part])
        grad_GTC = _of_quotient(given_part, blocks.columns(q_GTD))
        dsums_GRC.baddbmm_(e_GTR.mT, grad_GTC)
        total_G1C += grad_GTC.sum(1, keepdim=True)
        du_GTR = torch.bmm(grad_GTC, sums_GRC.mT, out=blocks.features(q_GTD, 1))
        _through(du_GTR, e_GTR, kind)
        product_GTC = torch.mul(grad_GTC, rest_G1C, out=blocks.columns(q_GTD, 1))
        row_sums_GT1 = product_GTC.sum(-1, keepdim=True).neg_()
        if peaks_GTR is not None:
            _favor_maxima.take_off(du_GTR, peaks_GTR, row_sums_GT1)
        _to_tokens(du_GTR, q_GTD, row_sums_GT1, blocks, kind, dq_GND[:, part])
    return dsums_GRC.add_(kind.epsilon * total_G1C)


def _keys(
    given: Sequence[Tensor], dsums_GRC: Tensor, blocks: Blocks, kind: Kind, made: Sequence[Tensor]
) -> None:
    """Fill the gradients of keys and values."""
    k_GND, v_GND, shift_GN1, largest_G11 = given
    dk_GND, dv_GND = made
    rest_G1C = kind.epsilon * dsums_GRC.sum(1, keepdim=True)
    peaks = _favor_maxima.Peaks(largest_G11) if kind.through_maxima else None
    for part in blocks.tokens(k_GND):
        k_GTD = k_GND[:, part]
        e_GTR = blocks.raw(k_GTD)
        if peaks is not None:
            peaks.find(e_GTR, part.start)
        _finish(e_GTR, shift_GN1[:, part], kind)
        dv_GTC = torch.bmm(e_GTR, dsums_GRC, out=blocks.columns(k_GTD))
        torch.add(dv_GTC[..., :-1], rest_G1C[..., :-1], out=dv_GND[:, part])
        v_GTC = blocks.with_ones(v_GND[:, part], 1)
        du_GTR = torch.bmm(v_GTC, dsums_GRC.mT, out=blocks.features(k_GTD, 1))
        _through(du_GTR, e_GTR, kind)
        row_sums_GT1 = dv_GTC.mul_(v_GTC).sum(-1, keepdim=True)
        _to_tokens(du_GTR, k_GTD, row_sums_GT1, blocks, kind, dk_GND[:, part])
    if peaks is not None:
        # The sum of all keys' row sums, which cancel but for ε.
        total_G11 = (rest_G1C * sum_with_count(v_GND)).sum(-1, keepdim=True).neg_()
        peaks.take_off(dk_GND, total_G11, blocks.w_RD)


def _finish(u_GTR: Tensor, shift_GT1: Tensor, kind: Kind) -> None:
    """In place, e of u."""
    if kind.relu:
        u_GTR.relu_()
    else:
        u_GTR.sub_(shift_GT1).exp_()


def _of_quotient(given: Sequence[Tensor], made_GTC: Tensor) -> Tensor:
    """[G, T, C]: the gradient of numerator and denominator."""
    grad_GTD, out_GTD, denominators_GT1 = given
    product_GTD = torch.mul(grad_GTD, out_GTD, out=made_GTC[..., :-1])
    made_GTC[..., -1:] = product_GTD.sum(-1, keepdim=True).neg_()
    made_GTC[..., :-1] = grad_GTD
    return made_GTC.div_(denominators_GT1)


def _through(gradient_GTR: Tensor, e_GTR: Tensor, kind: Kind) -> None:
    """In place, from the gradient of the features to that of what the exponential or relu takes."""
    if kind.relu:
        gradient_GTR.masked_fill_(e_GTR <= 0, 0)
    else:
        gradient_GTR.mul_(e_GTR)


def _to_tokens(
    du_GTR: Tensor,
    x_GTD: Tensor,
    row_sums_GT1: Tensor,
    blocks: Blocks,
    kind: Kind,
    dx_GTD: Tensor,
) -> None:
    """Through the product with W, and through the norm."""
    torch.bmm(du_GTR, blocks.w_RD.expand(len(x_GTD), *blocks.w_RD.shape), out=dx_GTD)
    if not kind.relu:
        dx_GTD.addcmul_(x_GTD, row_sums_GT1, value=-(x_GTD.shape[-1] ** -0.5))
