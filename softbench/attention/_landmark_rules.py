"""Which numbers of landmarks a token grid can give, and the nearest right one when it cannot."""

from __future__ import annotations

import math
from collections.abc import Iterable

from softbench.case import Shape, Unsupported


def refusal(shape: Shape, num_landmarks: int, landmarks: str) -> str | None:
    """Why `shape` has no `num_landmarks` landmarks of the kind `landmarks`; None if it has."""
    if num_landmarks > shape.seq_len:
        return f"num_landmarks {num_landmarks} is more than the {shape.seq_len} tokens"
    if landmarks == "pool" and shape.grid is not None:
        return _pool_refusal(shape.grid, num_landmarks)
    if landmarks == "conv":
        return conv_refusal(shape, num_landmarks, "landmarks", "pool")
    return None


def conv_refusal(shape: Shape, number: int, option: str, instead: str) -> str | None:
    """Why no convolution with kernel = stride gives `number` of tokens; None if one does.

    option: the parameter whose `conv` that is, and `instead` what else it can be.
    """
    if shape.grid is None:
        return f"{option} conv needs a token grid; set shape.grid or use {option}: {instead}"
    strides = _strides(shape.grid)
    if number in strides:
        return None
    nearest = _nearest(number, strides)
    return (
        f"{option} conv on a {shape.grid[0]}x{shape.grid[1]} grid has no stride that gives "
        f"{number}; nearest: {nearest} (stride {strides[nearest]})"
    )


def conv_stride(shape: Shape, num_landmarks: int) -> int:
    """The r for which ⌊rows/r⌋·⌊columns/r⌋ is `num_landmarks`: the largest, as it drops least.

    Raises Unsupported where there is none.
    """
    reason = conv_refusal(shape, num_landmarks, "landmarks", "pool")
    if reason is not None or shape.grid is None:
        raise Unsupported(reason)
    return _strides(shape.grid)[num_landmarks]


def _pool_refusal(grid: tuple[int, int], num_landmarks: int) -> str | None:
    possible = {side**2 for side in range(1, min(grid) + 1)}
    if num_landmarks in possible:
        return None
    return (
        f"landmarks pool on a {grid[0]}x{grid[1]} grid needs a square number no larger than "
        f"{min(grid)}², not {num_landmarks}; nearest: {_nearest(num_landmarks, possible)}"
    )


def _strides(grid: tuple[int, int]) -> dict[int, int]:
    """Every number of landmarks the grid can give, with its largest stride."""
    return {(grid[0] // r) * (grid[1] // r): r for r in range(1, min(grid) + 1)}


def _nearest(wanted: int, possible: Iterable[int]) -> int:
    return min(possible, key=lambda number: (abs(math.log(number / wanted)), number))
