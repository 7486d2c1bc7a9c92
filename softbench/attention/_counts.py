"""FLOPs of what every mechanism is made of: 2 per multiply-add, products and convolutions only."""

from __future__ import annotations

from softbench.case import Mode, Shape


def passes(mode: Mode) -> int:
    """How often a product is paid for: once forward, and once for the gradient of each factor."""
    return 1 if mode == "forward" else 3


def projections(shape: Shape, number: int, mode: Mode) -> int:
    """`number` linear layers of width C = H·D over all tokens."""
    tokens, width = shape.batch_size * shape.seq_len, shape.num_heads * shape.head_dim
    return number * passes(mode) * 2 * tokens * width**2


def value_convolution(shape: Shape, filter_size: int, mode: Mode) -> int:
    """A depth-wise convolution of `filter_size` taps over the values, padding counted as tokens."""
    values = shape.batch_size * shape.num_heads * shape.seq_len * shape.head_dim
    return passes(mode) * 2 * values * filter_size


def landmark_convolution(shape: Shape, stride: int, num_landmarks: int, mode: Mode) -> int:
    """A convolution of all channels with kernel = stride: M·D outputs of D·r² taps a head."""
    outputs = shape.batch_size * shape.num_heads * num_landmarks * shape.head_dim
    return passes(mode) * 2 * outputs * shape.head_dim * stride**2
