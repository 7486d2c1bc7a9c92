"""What a mechanism or a metric may define is held to its rules where it does.

Broken on purpose, each of these turned a test here red: a block of queries not compared with
the whole, a landmark inverse of NaN passed, the sign of `work` not looked at.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from softbench.attention import soft, softmax
from softbench.case import Unsupported
from softbench.contract import metrics, optional


def centred(q: Tensor, k: Tensor | None, v: Tensor, params: Any) -> Tensor:
    """Looks at all the queries it is given, where a row may look at its own alone."""
    out: Tensor = soft.exact(q, k, v, params)
    return out - out.mean(2, keepdim=True)


@pytest.mark.parametrize(
    ("exact", "problem"),
    [
        (centred, "exact of a block of queries differs from those rows of the whole"),
        (lambda q, k, v, params: v, "exact of 4 queries gives (2, 2, 196, 8)"),
        (lambda q, k, v, params: v[0], "exact gives (2, 196, 8) for v (2, 2, 196, 8)"),
        (lambda q, k, v, params: v * torch.nan, "or is not finite"),
    ],
)
def test_an_exact_is_finite_and_by_rows(exact: Any, problem: str) -> None:
    module = ModuleType("stand_in")
    module.__dict__.update(soft.__dict__ | {"exact": exact})
    found = list(optional._exact("soft", module))
    assert len(found) == 1
    assert problem in found[0]


@pytest.mark.parametrize(
    ("pair", "problem"),
    [
        ((torch.eye(3), torch.eye(3) * torch.nan), "its inverse has 9 of 9 entries NaN"),
        ((torch.eye(3), torch.eye(4)), "a matrix (1, 1, 3, 3) and an inverse (1, 1, 4, 4)"),
    ],
)
def test_a_landmark_inverse_is_finite_and_square(
    pair: tuple[Tensor, Tensor], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    matrices = tuple(matrix[None, None] for matrix in pair)
    monkeypatch.setattr(soft, "landmark_inverse", lambda *_: matrices)
    [found] = optional._landmark_inverse("soft", soft)
    assert problem in found


def test_who_defines_neither_breaks_neither() -> None:
    assert list(optional._exact("softmax", softmax)) == []
    assert list(optional._landmark_inverse("softmax", softmax)) == []


@pytest.mark.parametrize("work", [-1, 1.5, None])
def test_work_is_a_number_of_flops(work: Any) -> None:
    module = ModuleType("stand_in")
    module.__dict__["work"] = lambda case: work
    assert list(metrics._work("stand_in", module)) == [
        f"work is {work!r}; a whole number of FLOPs, none below 0"
    ]


def test_a_quantity_may_be_unsupported() -> None:
    module = ModuleType("stand_in")
    module.__dict__.update(
        QUANTITIES={"one": ("1", "lower")},
        measure=lambda workload, protocol: {"one": Unsupported("not here")},
    )
    assert list(metrics._measures("stand_in", module)) == []
