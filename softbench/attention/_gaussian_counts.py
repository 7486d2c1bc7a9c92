"""FLOPs of low-rank attention through a landmark kernel: SOFT and its normalised form."""

from __future__ import annotations

from softbench.attention import _counts, _landmark_rules
from softbench.attention._fields import Landmarks
from softbench.case import Level, Mode, Shape


def terms(
    shape: Shape,
    num_landmarks: int,
    landmarks: Landmarks,
    conv_kernel_size: int,
    *,
    solution: int,
    level: Level,
    backend: str,
    mode: Mode,
) -> dict[str, int]:
    """By term; `solution` is what the inverse of one matrix takes in this mode.

    Fused (and `auto`, which is that where its counts are asked for), norms are sums, products are
    associated from the right, and the backward pass makes the kernel of the tokens once more.
    """
    times, heads = _counts.passes(mode), shape.batch_size * shape.num_heads
    tokens, width = shape.seq_len, shape.head_dim
    pairs = 2 * heads * (tokens + num_landmarks) * num_landmarks * width  # those of P and of A
    stride = _landmark_rules.conv_stride(shape, num_landmarks) if landmarks == "conv" else 0
    eager, again = backend == "eager", backend != "eager" and mode == "forward_backward"
    between = tokens * num_landmarks if eager else num_landmarks * width  # (P X) or X (Pᵀ v)
    products = 2 * tokens * num_landmarks * width + between * num_landmarks
    return {
        "projections": _counts.projections(shape, 3, mode) if level == "layer" else 0,
        "landmarks": _counts.landmark_convolution(shape, stride, num_landmarks, mode),
        "distances": times * pairs,
        # Each of the two norms is a product as large as the distances'; ones need no gradient.
        "norms": 2 * pairs * (1 if mode == "forward" else 2) if eager else 0,
        "solver": heads * solution,
        "products": times * 2 * heads * products,
        "convolution": _counts.value_convolution(shape, conv_kernel_size**2, mode),
        "recomputation": 2 * heads * tokens * num_landmarks * width if again else 0,
    }
