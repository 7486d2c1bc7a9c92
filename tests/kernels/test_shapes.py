"""What does not fit is refused by the functions of the kernels, before one reads beyond it.

Mutants seen red: each of the checks left out, one at a time.
"""

from __future__ import annotations

import sys

import pytest
import torch

from softbench.kernels import low_rank, pooled_soft, pooling

pytestmark = pytest.mark.skipif(not low_rank.is_built(), reason="no C++ compiler built the kernels")
Q = torch.zeros(1, 2, 12, 8)
FITTING = ((0, 2, 2, 4), (0, 1, 1, 3), 3)  # a grid of 4 x 3
WINDOWS = [
    (((0, 2, 2, 5), (0, 1, 1, 3), 3), "do not cover 12 tokens"),
    (((0, 2, 2, 4), (0, 1, 1, 2), 3), "do not cover 12 tokens"),
    ((((), (0, 1, 1, 3), 3)), "do not cover 12 tokens"),
    (((-5, 2, 2, 4), (0, 1, 1, 3), 3), r"begin at \[-5, 2\]"),
    (((0, 2, 9, 4), (0, 1, 1, 3), 3), "the last must end last"),
    (((3, 2, 2, 4), (0, 1, 1, 3), 3), "none may end before it begins"),
    (((0, 4, 4), (0, 1, 1, 3), 3), r"begin at \[0\] and end at \[4, 4\]"),
]


@pytest.fixture(autouse=True)
def no_shape_checker() -> None:
    """The tests' own checker of shape suffixes would find these first."""
    sys.setprofile(None)


@pytest.mark.parametrize(
    ("landmarks", "inverse", "match"),
    [
        (torch.zeros(1, 2, 4, 7), torch.zeros(1, 2, 4, 4), r"landmarks must be \[1, 2, 4, 8\]"),
        (torch.zeros(1, 1, 4, 8), torch.zeros(1, 2, 4, 4), r"got \[1, 1, 4, 8\]"),
        (torch.zeros(1, 2, 4, 8), torch.zeros(1, 2, 4, 3), r"inverse must be \[1, 2, 4, 4\]"),
        (torch.zeros(1, 2, 4, 8).double(), torch.zeros(1, 2, 4, 4), "torch.float64"),
        (torch.zeros(1, 2, 4, 8), torch.zeros(1, 2, 4, 4).double(), "torch.float64"),
    ],
)
def test_landmarks_and_their_inverse_fit_the_queries(
    landmarks: torch.Tensor, inverse: torch.Tensor, match: str
) -> None:
    with pytest.raises(ValueError, match=match):
        low_rank.low_rank(Q, landmarks, inverse, Q)


@pytest.mark.parametrize(("windows", "match"), WINDOWS)
def test_windows_cover_the_tokens_and_no_more(
    windows: tuple[tuple[int, ...], tuple[int, ...], int], match: str
) -> None:
    with pytest.raises(ValueError, match=match):
        pooling.with_queries(Q, *windows)
    with pytest.raises(ValueError, match=match):
        pooled_soft.pooled_soft(Q, Q, windows, 3, 0.01)
    with pytest.raises(ValueError, match=match):
        torch.ops.softbench.add_pooled_gradient(Q.clone(), torch.zeros(1, 2, 4, 8), *windows)


def test_narrow_floats_are_for_who_calls_to_widen() -> None:
    with pytest.raises(ValueError, match=r"float32 or float64, not in torch\.float16"):
        pooled_soft.pooled_soft(Q.half(), Q.half(), FITTING, 3, 0.01)


def test_what_fits_is_computed() -> None:
    assert pooled_soft.pooled_soft(Q, Q, FITTING, 3, 0.01).shape == Q.shape
