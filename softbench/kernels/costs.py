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


FLOPS: dict[str, Callable[[tuple[Any, ...], Any], int]] = {
    "softbench::low_rank": low_rank_flops,
    "softbench::low_rank_backward": low_rank_backward_flops,
    "softbench::landmark_inverse": inverse_flops,
    "softbench::landmark_inverse_backward": inverse_backward_flops,
    "softbench::pooled": lambda args, output: 0,
    "softbench::add_pooled_gradient": lambda args, output: 0,
    **favor_costs.FLOPS,
}


def exponentials(name: str, args: tuple[Any, ...]) -> int:
    """One for each token and landmark or two landmarks, in backwards once more; else 0."""
    if name in favor_costs.NAMES:
        return favor_costs.exponentials(name, args)
    if name not in (*LOW_RANK, *INVERSE):
        return 0
    given = args[1:] if name.endswith("backward") else args
    # Landmarks are their own tokens where they are inverted.
    q_BHND, landmarks_BHMD = given[:2] if name in LOW_RANK else (given[0], given[0])
    return int(prod(q_BHND.shape[:3]) * landmarks_BHMD.shape[2])


def workspace_bytes(name: str, args: tuple[Any, ...]) -> int:
    """Bytes that a compiled operator takes of PyTorch's memory beyond its outputs: P of a head.

    Each thread has one, its last tile filled up. Tokens whose width is no whole number of vectors
    are copied to one that is, outputs too.
    """
    if name in favor_costs.NAMES:
        return favor_costs.workspace_bytes(name, args)
    if name not in LOW_RANK:
        return 0
    backward = name.endswith("backward")
    q_BHND, landmarks_BHMD = args[1:3] if backward else args[:2]
    heads, (tokens, width) = prod(q_BHND.shape[:2]), q_BHND.shape[2:]
    lanes, tile = _compiled.lanes_and_tile(q_BHND.dtype)
    landmarks = landmarks_BHMD.shape[2]
    threads = min(torch.get_num_threads(), heads)
    kernel = threads * -(-tokens // tile) * tile * landmarks
    if width % lanes == 0:
        return int(kernel * q_BHND.element_size())
    filled = width + -width % lanes
    of_tokens, of_landmarks = (5, 4) if backward else (3, 3)
    copies = heads * (of_tokens * tokens + of_landmarks * landmarks) * filled
    # What the kernel took is free again when the outputs are cut to their own width.
    outputs = heads * (tokens + 2 * landmarks) * width
    if backward:
        outputs = heads * ((2 * tokens + landmarks) * width + landmarks**2)
    return int((copies + max(0, kernel - outputs)) * q_BHND.element_size())


def _of_tokens(q_BHND: Tensor, landmarks_BHMD: Tensor) -> int:
    return 2 * q_BHND.numel() * landmarks_BHMD.shape[2]


def _of_landmarks(landmarks_BHMD: Tensor) -> int:
    return 2 * landmarks_BHMD.numel() * landmarks_BHMD.shape[2]
