"""FLOPs of what a backbone has around its attention: 2 per multiply-add, products alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from softbench.attention._counts import passes
from softbench.case import Mode


def linear(rows: int, width: int, width_after: int, mode: Mode) -> int:
    """A linear layer over `rows` vectors, with the gradients of its input and its weight."""
    return passes(mode) * 2 * rows * width * width_after


def convolution(outputs: int, taps: int, mode: Mode, *, of_image: bool = False) -> int:
    """`outputs` values of `taps` products each; of an image, which wants no gradient, or not."""
    times = passes(mode)
    if of_image and mode == "forward_backward":
        times -= 1
    return times * 2 * outputs * taps


def summed(layers: Iterable[tuple[Mapping[str, int], int]]) -> dict[str, int]:
    """Terms of layers, each so often as it is there, summed by name."""
    total: Counter[str] = Counter()
    for terms, number in layers:
        total.update({name: number * count for name, count in terms.items()})
    return dict(total)
