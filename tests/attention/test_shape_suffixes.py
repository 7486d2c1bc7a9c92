"""The check of shape suffixes sees what it should: a wrong rank, a letter of two sizes."""

from __future__ import annotations

from typing import Any

import pytest
import torch

SOURCE = """
def mechanism(q_BHND, landmarks_BHMD):
    return q_BHND
"""


def _as_a_mechanism() -> Any:
    names: dict[str, Any] = {}
    exec(compile(SOURCE, "softbench/attention/made_up.py", "exec"), names)
    return names["mechanism"]


def test_consistent_names_pass(checked_shapes: Any) -> None:
    with checked_shapes() as broken:
        _as_a_mechanism()(torch.ones(1, 2, 9, 4), torch.ones(1, 2, 3, 4))
    assert broken == []


@pytest.mark.parametrize(
    ("landmarks_shape", "reported"),
    [
        ((2, 3, 4), "landmarks_BHMD is [2, 3, 4]"),
        ((1, 2, 3, 5), "landmarks_BHMD is [1, 2, 3, 5], but D is 4"),
        ((2, 2, 3, 4), "landmarks_BHMD is [2, 2, 3, 4], but B is 1"),
    ],
)
def test_a_wrong_name_is_reported(
    checked_shapes: Any, landmarks_shape: tuple[int, ...], reported: str
) -> None:
    with checked_shapes() as broken:
        _as_a_mechanism()(torch.ones(1, 2, 9, 4), torch.ones(landmarks_shape))
    assert broken == [f"mechanism: {reported}"]
