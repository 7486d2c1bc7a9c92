"""Each kind of landmark against a plain definition, and which numbers a grid can give.

Broken on purpose, each of these turned a test here red: rows and columns of the grid swapped,
landmarks in column order, the maximum for the mean, longer segments first, the smallest stride
taken, first tokens taken from the end, tokens drawn twice, a grid that is not checked.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from softbench.attention import _landmarks, soft
from softbench.attention._landmark_rules import conv_stride
from softbench.case import Shape, Unsupported


def sampled(x: Tensor, kind: Any, num_landmarks: int, grid: Any = None, **weights: Any) -> Tensor:
    return _landmarks.sample(x, kind, num_landmarks, weights, grid)


def tokens(seq_len: int, head_dim: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 2, seq_len, head_dim, generator=generator, dtype=torch.float64)


def test_pool_is_the_mean_of_each_window() -> None:
    """Kernel = stride on 6 × 4 tokens, two landmarks a side: windows of 3 × 2, row by row."""
    x = tokens(24)
    image = x.reshape(2, 2, 6, 4, 3)
    windows = [
        image[:, :, row : row + 3, column : column + 2].mean((2, 3))
        for row in (0, 3)
        for column in (0, 2)
    ]
    assert torch.allclose(sampled(x, "pool", 4, (6, 4)), torch.stack(windows, dim=2))


def test_pool_adapts_where_the_sides_do_not_divide() -> None:
    x = tokens(25)
    assert sampled(x, "pool", 9, (5, 5)).shape == (2, 2, 9, 3)
    corner = x.reshape(2, 2, 5, 5, 3)[:, :, :2, :2].mean((2, 3))
    assert torch.allclose(sampled(x, "pool", 9, (5, 5))[:, :, 0], corner)


@pytest.mark.parametrize(
    ("seq_len", "num_landmarks", "lengths"),
    [(12, 4, [3, 3, 3, 3]), (11, 4, [2, 3, 3, 3]), (7, 5, [1, 1, 1, 2, 2]), (5, 5, [1] * 5)],
)
def test_pool_without_a_grid_is_segment_means(
    seq_len: int, num_landmarks: int, lengths: list[int]
) -> None:
    x = tokens(seq_len)
    wanted = torch.stack([part.mean(2) for part in torch.split(x, lengths, 2)], dim=2)
    assert torch.allclose(sampled(x, "pool", num_landmarks), wanted)


def test_conv_drops_rows_and_columns_beyond_the_last_stride() -> None:
    """Stride 2 on 5 × 7: what stands in the last row or column changes no landmark."""
    shape = Shape(num_heads=2, head_dim=3, grid=(5, 7))  # type: ignore[call-arg]
    weights = _landmarks.sampling_weights(shape, "conv", 6, torch.Generator().manual_seed(0))
    weights = {name: tensor.double() for name, tensor in weights.items()}
    x = tokens(35)
    changed = x.reshape(2, 2, 5, 7, 3).clone()
    changed[:, :, 4:] += 1
    changed[:, :, :, 6:] += 1
    landmarks = sampled(x, "conv", 6, (5, 7), **weights)
    assert landmarks.shape == (2, 2, 6, 3)
    assert torch.equal(
        sampled(changed.reshape(2, 2, 35, 3), "conv", 6, (5, 7), **weights), landmarks
    )


def test_first_and_random_are_tokens() -> None:
    x = tokens(10)
    assert torch.equal(sampled(x, "first", 4), x[:, :, :4])
    index = torch.tensor([1, 5, 8])
    assert torch.equal(sampled(x, "random", 3, landmark_index=index), x[:, :, [1, 5, 8]])


def test_random_tokens_are_distinct() -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = _landmarks.sampling_weights(Shape(seq_len=40), "random", 40, generator)
    assert drawn["landmark_index"].tolist() == list(range(40))


@pytest.mark.parametrize(
    ("side", "possible"),
    [
        (56, {16, 25, 36, 49, 64, 81, 121, 196}),
        (28, {16, 25, 49, 81, 196}),
        (14, {16, 49, 196}),
    ],
)
def test_numbers_that_a_stride_can_give(side: int, possible: set[int]) -> None:
    shape = Shape(seq_len=side**2)
    found = {
        number
        for number in range(16, 197)
        if soft.supports(shape, soft.Params(num_landmarks=number, landmarks="conv")) is None
    }
    assert found == possible


@pytest.mark.parametrize(
    ("grid", "num_landmarks", "stride"), [((56, 56), 49, 8), ((14, 14), 4, 7), ((12, 8), 6, 4)]
)
def test_the_largest_stride_is_taken(
    grid: tuple[int, int], num_landmarks: int, stride: int
) -> None:
    assert conv_stride(Shape(grid=grid), num_landmarks) == stride  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("shape", "fields", "reason"),
    [
        (
            {"seq_len": 16},
            {"num_landmarks": 49},
            "num_landmarks 49 is more than the 16 tokens",
        ),
        (
            {"seq_len": 784},
            {"num_landmarks": 50},
            "landmarks pool on a 28x28 grid needs a square number no larger than 28², not 50; "
            "nearest: 49",
        ),
        (
            {"grid": (4, 100)},
            {"num_landmarks": 49},
            "landmarks pool on a 4x100 grid needs a square number no larger than 4², not 49; "
            "nearest: 16",
        ),
        (
            {"seq_len": 400},
            {"num_landmarks": 49, "landmarks": "conv"},
            "landmarks conv on a 20x20 grid has no stride that gives 49; nearest: 36 (stride 3)",
        ),
        (
            {"seq_len": 200},
            {"landmarks": "conv"},
            "landmarks conv needs a token grid; set shape.grid or use landmarks: pool",
        ),
        (
            {"seq_len": 200},
            {"conv_kernel_size": 5},
            "a value convolution needs a token grid; set shape.grid or conv_kernel_size: 0",
        ),
    ],
)
def test_unsupported_names_the_nearest_right_thing(
    shape: dict[str, Any], fields: dict[str, Any], reason: str
) -> None:
    assert soft.supports(Shape(**shape), soft.Params(**fields)) == reason


@pytest.mark.parametrize(
    ("shape", "fields"),
    [
        ({"seq_len": 784}, {}),
        ({"seq_len": 200}, {"num_landmarks": 50}),
        ({"seq_len": 49}, {"landmarks": "random"}),
        ({"seq_len": 784}, {"num_landmarks": 50, "landmarks": "first"}),
        ({"grid": (12, 8)}, {"num_landmarks": 6, "landmarks": "conv", "conv_kernel_size": 9}),
    ],
)
def test_supported(shape: dict[str, Any], fields: dict[str, Any]) -> None:
    assert soft.supports(Shape(**shape), soft.Params(**fields)) is None


def test_a_layer_without_a_stride_is_not_built() -> None:
    params = soft.Params(num_landmarks=49, landmarks="conv")
    generator = torch.Generator().manual_seed(0)
    with pytest.raises(Unsupported, match=r"nearest: 36 \(stride 3\)"):
        soft.Attention(Shape(seq_len=400), params, generator=generator)


def test_a_grid_must_be_there_and_hold_the_tokens() -> None:
    params = soft.Params(num_landmarks=4, landmarks="first", conv_kernel_size=3)
    x, weights = tokens(16), {"value_conv": torch.ones(2, 1, 3, 3, dtype=torch.float64)}
    with pytest.raises(ValueError, match="a value convolution needs a token grid; set conv_kernel"):
        soft.attend(x, None, x, params=params, weights=weights, grid=None)
    with pytest.raises(ValueError, match="grid 5x5 holds 25 tokens, not 16"):
        sampled(x, "pool", 4, (5, 5))
    with pytest.raises(ValueError, match="these tokens have no grid; give one, such as 28x28"):
        sampled(x, "conv", 4, None, landmark_conv=torch.ones(3, 3, 2, 2))
