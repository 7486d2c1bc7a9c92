"""What the operators of FAVOR+ cost: FLOPs, 2 per multiply-add, exponentials, and workspace."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from torch import Tensor

from softbench.kernels._favor_blocks import block_sizes

BACKWARD = "softbench::favor_backward"
NAMES = ("softbench::favor", BACKWARD)


def forward_flops(args: tuple[Any, ...], output: Any) -> int:
    """For queries and for keys their features, and a product with D + 1 columns."""
    q_BHND, _, v_BHND, w_RD = args[:4]
    return int(2 * _pairs(q_BHND, w_RD) * (q_BHND.shape[-1] + v_BHND.shape[-1] + 1))


def backward_flops(args: tuple[Any, ...], output: Any) -> int:
    """Features again and through them; two gradients of each product with columns."""
    q_BHND, _, v_BHND, w_RD = args[1:5]
    return int(4 * _pairs(q_BHND, w_RD) * (q_BHND.shape[-1] + v_BHND.shape[-1] + 1))


FLOPS: dict[str, Callable[[tuple[Any, ...], Any], int]] = {
    "softbench::favor": forward_flops,
    BACKWARD: backward_flops,
}


def exponentials(name: str, args: tuple[Any, ...]) -> int:
    """One for each feature of a query and of a key; none for relu."""
    first = 1 if name == BACKWARD else 0
    relu = args[first + (10 if first else 4)]
    return 0 if relu else _pairs(args[first], args[first + 3])


def workspace_bytes(name: str, args: tuple[Any, ...]) -> int:
    """Bytes beyond the outputs: W divided by D^(1/4), and blocks of features and of columns.

    In the backward two of each, and the gradient of the sums; where gradients go through maxima a
    third block of features says where these lie, and for them and for relu a block of truth values.
    Single numbers a token are left out.
    """
    backward = name == BACKWARD
    q_BHND, _, _, w_RD = args[1:5] if backward else args[:4]
    relu, detach_max = args[-3], args[-1]
    rank, width = w_RD.shape
    heads, tokens = block_sizes(q_BHND, w_RD)
    number = 2 if backward else 1
    blocks = heads * tokens * number * (rank + width + 1)
    sums = heads * rank * (width + 1) if backward else 0
    size = q_BHND.element_size()
    marks = 0 if not backward else 1 if relu else 0 if detach_max else size + 1
    return int((rank * width + blocks + sums) * size + heads * tokens * rank * marks)


def _pairs(q_BHND: Tensor, w_RD: Tensor) -> int:
    """Features of all queries and keys."""
    return int(2 * prod(q_BHND.shape[:3]) * w_RD.shape[0])
