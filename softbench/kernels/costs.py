"""What the compiled operators cost: FLOPs, 2 per multiply-add of every product, and workspace.

By the operator's name and its own arguments, for who counts and who predicts without running. The
backward of the low-rank product makes the kernel of the tokens once more, and that is counted.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from operator import mul
from typing import Any, NamedTuple

import torch
from torch import Tensor

from softbench.kernels import _compiled, favor_costs

LOW_RANK = ("softbench::low_rank", "softbench::low_rank_backward")
SOFT = ("softbench::soft", "softbench::soft_alone", "softbench::soft_backward")
INVERSE = ("softbench::landmark_inverse", "softbench::landmark_inverse_backward")


class Call(NamedTuple):
    """The compiled function of an operator, and what filling up tokens and landmarks copies."""

    name: str
    # Tensors as long as the tokens and as the landmarks: copies with filled rows, outputs too, and
    # those outputs cut to their own width when the function has returned.
    filled: tuple[int, int]
    cut: tuple[int, int]


CALLS = {
    "softbench::low_rank": Call("forward", (3, 3), (1, 2)),
    "softbench::low_rank_backward": Call("backward", (5, 4), (2, 1)),
    "softbench::landmark_inverse": Call("inverse", (0, 1), (0, 0)),
    "softbench::landmark_inverse_backward": Call("inverse_gradient", (0, 2), (0, 1)),
    "softbench::soft": Call("soft", (3, 3), (1, 3)),
    "softbench::soft_alone": Call("soft_alone", (3, 0), (1, 0)),
    "softbench::soft_backward": Call("soft_gradient", (5, 3), (2, 0)),
}


def low_rank_flops(args: tuple[Any, ...], output: Any) -> int:
    """Distances, Pᵀ v and P W of every token, X (Pᵀ v) of every head."""
    q_BHND, landmarks_BHMD = args[:2]
    return 3 * _of_tokens(q_BHND, landmarks_BHMD) + _of_landmarks(landmarks_BHMD)


def low_rank_backward_flops(args: tuple[Any, ...], output: Any) -> int:
    """Distances again and six gradients of every token, two of every head's landmarks."""
    q_BHND, landmarks_BHMD = args[1:3]
    return 7 * _of_tokens(q_BHND, landmarks_BHMD) + 2 * _of_landmarks(landmarks_BHMD)


def inverse_flops(args: tuple[Any, ...], output: Any) -> int:
    """Distances between landmarks and two products a step, the half that is copied counted too."""
    landmarks_BHMD, num_iters = args[:2]
    matrices = 2 * landmarks_BHMD.shape[:3].numel() * landmarks_BHMD.shape[2] ** 2
    return int(2 * num_iters * matrices) + _of_landmarks(landmarks_BHMD)


def inverse_backward_flops(args: tuple[Any, ...], output: Any) -> int:
    """Two products of matrices, the kernel again and its gradient."""
    landmarks_BHMD = args[1]
    matrices = 2 * landmarks_BHMD.shape[:3].numel() * landmarks_BHMD.shape[2] ** 2
    return int(2 * matrices) + 2 * _of_landmarks(landmarks_BHMD)


def soft_flops(args: tuple[Any, ...], output: Any) -> int:
    """Those of the inverse and of the low-rank product; pooling has no products."""
    q_BHND, number = _tokens_and_landmarks("softbench::soft", args)
    shape = (*q_BHND.shape[:2], number, q_BHND.shape[3])
    landmarks_BHMD = torch.empty(shape, device="meta")
    inverse = inverse_flops((landmarks_BHMD, args[5]), None)
    return inverse + low_rank_flops((q_BHND, landmarks_BHMD), None)


def soft_backward_flops(args: tuple[Any, ...], output: Any) -> int:
    """Those of both gradients."""
    q_BHND, landmarks_BHMD = args[1], args[5]
    inverse = inverse_backward_flops((None, landmarks_BHMD), None)
    return inverse + low_rank_backward_flops((None, q_BHND, landmarks_BHMD), None)


FLOPS: dict[str, Callable[[tuple[Any, ...], Any], int]] = {
    "softbench::low_rank": low_rank_flops,
    "softbench::low_rank_backward": low_rank_backward_flops,
    "softbench::landmark_inverse": inverse_flops,
    "softbench::landmark_inverse_backward": inverse_backward_flops,
    "softbench::soft": soft_flops,
    "softbench::soft_alone": soft_flops,
    "softbench::soft_backward": soft_backward_flops,
    "softbench::pooled": lambda args, output: 0,
    "softbench::add_pooled_gradient": lambda args, output: 0,
    **favor_costs.FLOPS,
}


def exponentials(name: str, args: tuple[Any, ...]) -> int:
    """One for each token and landmark, each two landmarks, in backwards once more; else 0."""
    if name in favor_costs.NAMES:
        return favor_costs.exponentials(name, args)
    if name not in (*LOW_RANK, *SOFT, *INVERSE):
        return 0
    x_BHND, landmarks = _tokens_and_landmarks(name, args)
    others = 0 if name in LOW_RANK else landmarks
    tokens = 0 if name in INVERSE else x_BHND.shape[2]
    return prod(x_BHND.shape[:2]) * (tokens + others) * landmarks


def workspace_bytes(name: str, args: tuple[Any, ...]) -> int:
    """Bytes that a compiled operator takes of PyTorch's memory beyond its outputs.

    What it computes in, as the build that is here tells; none where none is, for none runs. Tokens
    whose width is no whole number of vectors are copied to one that is, outputs too.
    """
    if name in favor_costs.NAMES:
        return favor_costs.workspace_bytes(name, args)
    if name not in CALLS or _compiled.build() is None:
        return 0
    call, (x_BHND, landmarks) = CALLS[name], _tokens_and_landmarks(name, args)
    batch, heads, tokens, width = x_BHND.shape
    filled = width + -width % _compiled.lanes(x_BHND.dtype)
    sizes = _compiled.sizes_of((batch, heads, tokens, filled), landmarks, 1.0)
    numbers = _compiled.scratch_size(call.name, x_BHND.dtype, sizes)
    if filled > width:
        lengths = (tokens, landmarks)
        cut = batch * heads * sum(map(mul, call.cut, lengths)) * width
        # What it computed in is free again when the outputs are cut to their own width.
        copies = batch * heads * sum(map(mul, call.filled, lengths)) * filled
        numbers = copies + max(0, numbers - cut)
    return int(numbers * x_BHND.element_size())


def _tokens_and_landmarks(name: str, args: tuple[Any, ...]) -> tuple[Tensor, int]:
    """The tensor of what is held against the landmarks, and their number."""
    backward = name.endswith("backward")
    if name in ("softbench::soft", "softbench::soft_alone"):
        return args[0], len(args[2]) * len(args[3]) // 4
    if name == "softbench::soft_backward":
        return args[1], args[5].shape[2]
    if name in INVERSE:
        landmarks_BHMD = args[1] if backward else args[0]
        return landmarks_BHMD, landmarks_BHMD.shape[2]
    q_BHND, landmarks_BHMD = args[1:3] if backward else args[:2]
    return q_BHND, landmarks_BHMD.shape[2]


def _of_tokens(q_BHND: Tensor, landmarks_BHMD: Tensor) -> int:
    return 2 * q_BHND.numel() * landmarks_BHMD.shape[2]


def _of_landmarks(landmarks_BHMD: Tensor) -> int:
    return 2 * landmarks_BHMD.numel() * landmarks_BHMD.shape[2]
