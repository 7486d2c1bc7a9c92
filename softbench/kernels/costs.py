"""What the compiled operators cost: FLOPs, 2 per multiply-add of every product, and workspace.

By the operator's name and its own arguments, for who counts and who predicts without running. The
backward of the low-rank product makes the kernel of the tokens once more, and that is counted.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch import Tensor

from softbench.kernels import _compiled, favor_costs

LOW_RANK = ("softbench::low_rank", "softbench::low_rank_backward")
SOFT = ("softbench::soft", "softbench::soft_backward")
# How many tensors as long as the tokens, and as the landmarks, are copied to be filled up.
COPIES = {
    "softbench::low_rank": (3, 3),
    "softbench::low_rank_backward": (5, 4),
    "softbench::soft": (3, 3),
    "softbench::soft_backward": (5, 3),
}
INVERSE = ("softbench::landmark_inverse", "softbench::landmark_inverse_backward")


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
    q_BHND, landmarks_BHMD = args[0], output[3]
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
    """Bytes that a compiled operator takes of PyTorch's memory beyond its outputs: P of a head.

    Each thread has one, its last tile filled up. Tokens whose width is no whole number of vectors
    are copied to one that is, outputs too.
    """
    if name in favor_costs.NAMES:
        return favor_costs.workspace_bytes(name, args)
    if name not in (*LOW_RANK, *SOFT):
        return 0
    q_BHND, landmarks = _tokens_and_landmarks(name, args)
    heads, (tokens, width) = prod(q_BHND.shape[:2]), q_BHND.shape[2:]
    lanes, tile = _compiled.lanes_and_tile(q_BHND.dtype)
    threads = min(torch.get_num_threads(), heads)
    kernel = threads * -(-tokens // tile) * tile * landmarks
    if width % lanes == 0:
        return int(kernel * q_BHND.element_size())
    filled = width + -width % lanes
    of_tokens, of_landmarks = COPIES[name]
    copies = heads * (of_tokens * tokens + of_landmarks * landmarks) * filled
    # What the kernel took is free again when the outputs are cut to their own width.
    outputs = {
        "softbench::low_rank": (tokens + 2 * landmarks) * width,
        "softbench::low_rank_backward": (2 * tokens + landmarks) * width + landmarks**2,
        "softbench::soft": (tokens + 3 * landmarks) * width,
        "softbench::soft_backward": 2 * tokens * width,
    }[name]
    return int((copies + max(0, kernel - heads * outputs)) * q_BHND.element_size())


def _tokens_and_landmarks(name: str, args: tuple[Any, ...]) -> tuple[Tensor, int]:
    """The tensor of what is held against the landmarks, and their number."""
    backward = name.endswith("backward")
    if name == "softbench::soft":
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
