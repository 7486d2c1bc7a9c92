"""Backend `fused` of SOFT and SOFT++: low-rank Gaussian attention by compiled kernels, on the CPU.

Exactly what `eager` computes, products associated from the right: `P (X (Pᵀ v))`, P made tile by
tile and never held for more than one head a thread. Queries are not copied to be scaled, pooled
landmarks add their gradient in place, convolutions see tokens as images whose channels lie last.

Narrow dtypes are computed in float32. Second derivatives are refused with a RuntimeError.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache, partial
from itertools import accumulate
from typing import Any, Protocol

from torch import Tensor
from torch.nn import functional

from softbench.attention import _backends, _landmarks
from softbench.attention._fields import Landmarks
from softbench.attention._gaussian import scaled
from softbench.attention._grid import image_to_tokens, tokens_to_image
from softbench.attention._heads import split_heads
from softbench.case import Unsupported
from softbench.inverse._precision import full_precision, widened
from softbench.kernels import low_rank, pooled_soft, pooling


class Params(Protocol):
    """What is asked of a mechanism's parameters here."""

    @property
    def landmarks(self) -> Landmarks:
        """How landmarks are sampled."""

    @property
    def num_landmarks(self) -> int:
        """M."""

    @property
    def conv_kernel_size(self) -> int:
        """Side of the value convolution's filter, 0 for none."""


# X [B, H, M, M] of landmarks divided by D^(1/4), by the mechanism's parameters; in their dtype,
# whatever autocast and TF32 say.
Invert = Callable[[Tensor, Any], Tensor]
# Steps and ridge where X is what the compiled iteration gives, by the mechanism's parameters.
Steps = Callable[[Any], tuple[int, float] | None]


def no_steps(params: Any) -> None:
    """Of a mechanism whose X is not the compiled iteration's."""


def backends(
    eager: _backends.Attend, invert: Invert, steps: Steps = no_steps
) -> dict[str, _backends.Attend]:
    """What a mechanism offers: its own `eager`, `fused` with its X, and `auto`."""
    return _backends.offered(eager, partial(_attend, invert, steps), refusal)


def refusal(device: str) -> str | None:
    """Why the kernels do not run on tensors of `device`; None if they do."""
    if device != "cpu":
        return _backends.not_on_cpu(device)
    if not low_rank.is_built():
        return (
            "backend fused has no compiled kernels here; install softbench where there is a C++ "
            "compiler, or take eager or auto"
        )
    return None


backend_ran = partial(_backends.ran, refusal)


def _attend(
    invert: Invert,
    steps: Steps,
    q_BHND: Tensor,
    k_BHND: Tensor | None,
    v_BHND: Tensor,
    *,
    params: Params,
    weights: Mapping[str, Tensor],
    grid: tuple[int, int] | None,
) -> Tensor:
    """[B, H, N, D] in the dtype of v: P X Pᵀ v and the value convolution where there is one.

    ValueError: keys are given, or a grid is needed and missing. Unsupported: no kernels here.
    """
    if k_BHND is not None:
        raise ValueError("the keys are the queries here; pass None for k")
    reason = refusal(q_BHND.device.type)
    if reason is not None:
        raise Unsupported(reason)
    wide_q_BHND, wide_v_BHND = widened(q_BHND), widened(v_BHND)
    compiled = steps(params) if params.landmarks == "pool" else None
    if compiled:
        of_grid = windows(q_BHND.shape[2], params.num_landmarks, grid)
        out_BHND = pooled_soft.pooled_soft(wide_q_BHND, wide_v_BHND, of_grid, *compiled)
    else:
        wide_q_BHND, landmarks_BHMD = _landmarks_of(wide_q_BHND, params, weights, grid)
        x_BHMM = invert(landmarks_BHMD, params)
        out_BHND = low_rank.low_rank(wide_q_BHND, landmarks_BHMD, x_BHMM, wide_v_BHND)
    out_BHND = out_BHND.to(v_BHND.dtype)
    if params.conv_kernel_size:
        out_BHND = out_BHND + value_convolution(v_BHND, weights["value_conv"], grid)
    return out_BHND


def value_convolution(v_BHND: Tensor, weight_H1KL: Tensor, grid: tuple[int, int] | None) -> Tensor:
    """[B, H, N, D]: as `_value_conv.value_convolution`, all channels of all heads in one image.

    Where v lies in memory as [B, N, H, D], as in a layer, nothing is copied.
    ValueError: no grid, or one that does not hold the tokens.
    """
    batch_size, num_heads, num_tokens, head_dim = v_BHND.shape
    v_BNC = v_BHND.transpose(1, 2).reshape(batch_size, num_tokens, num_heads * head_dim)
    filters = weight_H1KL.repeat_interleave(head_dim, 0)
    rows, columns = weight_H1KL.shape[-2:]
    image_BCRS = functional.conv2d(
        tokens_to_image(v_BNC, grid),
        filters,
        padding=(rows // 2, columns // 2),
        groups=num_heads * head_dim,
    )
    return split_heads(image_to_tokens(image_BCRS), num_heads)


def _landmarks_of(
    q_BHND: Tensor, params: Params, weights: Mapping[str, Tensor], grid: tuple[int, int] | None
) -> tuple[Tensor, Tensor]:
    """The queries for the kernel, and their landmarks divided by D^(1/4)."""
    kind, number = params.landmarks, params.num_landmarks
    if kind == "pool":
        return pooling.with_queries(q_BHND, *windows(q_BHND.shape[2], number, grid))
    if kind == "conv":
        # The filters are divided: they are fewer than the queries, and there is no bias.
        weights = {name: widened(weight) for name, weight in weights.items()}
        weights["landmark_conv"] = scaled_filters(weights["landmark_conv"])
        with full_precision(q_BHND.device):
            return q_BHND, widened(_landmarks.sample(q_BHND, kind, number, weights, grid))
    return q_BHND, scaled(_landmarks.sample(q_BHND, kind, number, weights, grid))


def scaled_filters(weight_DDKL: Tensor) -> Tensor:
    """The filters of the landmarks' convolution, for queries that are not divided by D^(1/4)."""
    return weight_DDKL / math.sqrt(math.sqrt(weight_DDKL.shape[1]))


@cache
def windows(
    num_tokens: int, num_landmarks: int, grid: tuple[int, int] | None
) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """Rows and columns of the landmarks' windows, and how many tokens a row of the grid has.

    Of each side where they begin, then where they end. ValueError: the grid does not hold them.
    """
    if grid is None:
        length, longer = divmod(num_tokens, num_landmarks)
        lengths = [length] * (num_landmarks - longer) + [length + 1] * longer
        ends = list(accumulate(lengths))
        return (0, 1), (0, *ends[:-1], *ends), num_tokens
    rows, columns = grid
    if rows * columns != num_tokens:
        held = rows * columns
        raise ValueError(f"grid {rows}x{columns} holds {held} tokens, not {num_tokens}")
    side = round(num_landmarks**0.5)
    return _adaptive(rows, side), _adaptive(columns, side), columns


def _adaptive(tokens: int, number: int) -> tuple[int, ...]:
    """Begins and ends of PyTorch's adaptive windows: they overlap where `number` is no divisor."""
    begins = (index * tokens // number for index in range(number))
    return (*begins, *(-(-(index + 1) * tokens // number) for index in range(number)))
