"""FAVOR+ forward, block by block: sums over all keys, then what each query takes of them.

The maximum of all keys is found on the way: a larger one scales down the sums so far. ε, the same
for all features, is added to sums and not to every feature.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from softbench.inverse._precision import full_precision
from softbench.kernels._favor_blocks import Blocks, Kind, half_norms, sum_with_count


def forward(inputs: Sequence[Tensor], made: Sequence[Tensor], kind: Kind) -> None:
    """Fill `made`, see `favor.py`, from q, k, v and W."""
    q, k, v, w = inputs
    out, sums, shift_q, shift_k, denominators, largest = made
    with full_precision(q.device):
        blocks = Blocks(q, w, 1)
        for at in blocks.heads(q):
            _gather(k[at], v[at], blocks, kind, (sums[at], shift_k[at], largest[at]))
            _spread(q[at], sums[at], blocks, kind, (out[at], shift_q[at], denominators[at]))


def _gather(
    k_GND: Tensor, v_GND: Tensor, blocks: Blocks, kind: Kind, made: Sequence[Tensor]
) -> None:
    """S = Σ φ_k [v, 1] over all keys; what is taken off each key's u, and the maximum in it."""
    sums_GRC, shift_GN1, largest_G11 = made
    sums_GRC.zero_()
    largest_G11.fill_(-math.inf)
    for part in blocks.tokens(k_GND):
        k_GTD = k_GND[:, part]
        e_GTR = blocks.raw(k_GTD)
        if kind.relu:
            e_GTR.relu_()
        else:
            higher_G11 = torch.maximum(largest_G11, e_GTR.amax((1, 2), keepdim=True))
            sums_GRC.mul_((largest_G11 - higher_G11).exp_())
            largest_G11.copy_(higher_G11)
            half_GT1 = half_norms(k_GTD)
            shift_GN1[:, part] = half_GT1
            e_GTR.sub_(half_GT1.add_(higher_G11)).exp_()
        sums_GRC.baddbmm_(e_GTR.mT, blocks.with_ones(v_GND[:, part]))
    sums_GRC.add_(kind.epsilon * sum_with_count(v_GND))
    shift_GN1.add_(largest_G11)


def _spread(
    q_GND: Tensor, sums_GRC: Tensor, blocks: Blocks, kind: Kind, made: Sequence[Tensor]
) -> None:
    """The output, what is taken off each query's u, and the denominators."""
    out_GND, shift_GN1, denominators_GN1 = made
    rest_G1C = kind.epsilon * sums_GRC.sum(1, keepdim=True)
    for part in blocks.tokens(q_GND):
        q_GTD = q_GND[:, part]
        e_GTR = blocks.raw(q_GTD)
        if kind.relu:
            e_GTR.relu_()
        else:
            shift_GT1 = half_norms(q_GTD).add_(e_GTR.amax(-1, keepdim=True))
            shift_GN1[:, part] = shift_GT1
            e_GTR.sub_(shift_GT1).exp_()
        both_GTC = torch.baddbmm(rest_G1C, e_GTR, sums_GRC, out=blocks.columns(q_GTD))
        torch.div(both_GTC[..., :-1], both_GTC[..., -1:], out=out_GND[:, part])
        denominators_GN1[:, part] = both_GTC[..., -1:]
