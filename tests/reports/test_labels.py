"""Names say what differs and nothing else, and never call two series alike.

Mutants seen red: every parameter named, the backend never named, a parameter of one mechanism
compared with another's.
"""

from __future__ import annotations

from typing import Any

import pytest
from synthetic_records import case, record

from softbench.reports._labels import labels, order, quantity_name
from softbench.reports._points import Series, points


def series(*cases: dict[str, Any]) -> list[Series]:
    return list(
        dict.fromkeys(point.series for one in cases for point in points([record(case(**one))]))
    )


def named(*cases: dict[str, Any]) -> list[str]:
    return list(labels(series(*cases)).values())


def test_alone_a_mechanism_is_called_by_its_name() -> None:
    alone = [{"attention": name, "params": {"num_landmarks": 49}} for name in ("soft", "soft_norm")]
    assert named(*alone) == ["SOFT", "SOFT++"]
    assert named({"attention": "nystromformer"}, {"attention": "mine"}) == ["Nyströmformer", "mine"]


def test_softmax_always_says_which_softmax_it_is() -> None:
    assert named({"attention": "softmax"}) == ["softmax (eager)"]


def test_the_backend_is_named_where_there_are_two() -> None:
    assert named({}, {"backend": "triton"}) == ["SOFT (eager)", "SOFT (triton)"]


def test_variants_name_what_differs_between_them() -> None:
    shared = {"ridge": 0.01, "num_newton_iters": 20}
    assert named(
        {"params": {**shared, "num_landmarks": 49, "inverse": "newton"}},
        {"params": {**shared, "num_landmarks": 64, "inverse": "cholesky"}},
        {"attention": "performer", "params": {"num_features": 266}},
    ) == ["SOFT, M = 49, newton inverse", "SOFT, M = 64, cholesky inverse", "Performer"]


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("num_newton_iters", (5, 20), ["SOFT, 5 iters", "SOFT, 20 iters"]),
        ("detach_max", (True, False), ["SOFT, detach max", "SOFT, no detach max"]),
        ("ridge", (0.01, 0.1), ["SOFT, ridge = 0.01", "SOFT, ridge = 0.1"]),
        ("conv_kernel_size", (3, 5), ["SOFT, 3×3 conv", "SOFT, 5×5 conv"]),
    ],
)
def test_parameters_read_as_the_field_writes_them(
    name: str, values: tuple[object, ...], expected: list[str]
) -> None:
    assert named(*({"params": {name: value}} for value in values)) == expected


def test_series_stand_in_their_usual_order_and_numbers_by_size() -> None:
    made = series(
        {"attention": "abacus"},
        *({"params": {"num_landmarks": m}} for m in (196, 49)),
        {"attention": "softmax", "backend": "sdpa"},
        {"attention": "softmax"},
    )
    assert list(labels(sorted(made, key=order)).values()) == [
        *("softmax (eager)", "softmax (sdpa)"),
        *("SOFT, M = 49", "SOFT, M = 196", "abacus"),
    ]


def test_seeds_and_compilation_are_named_where_they_differ() -> None:
    assert named({"seed": 0}, {"seed": 1}) == ["SOFT, seed 0", "SOFT, seed 1"]
    assert named({}, {"compile": True}) == ["SOFT, not compiled", "SOFT, compiled"]


def test_an_unknown_quantity_is_named_in_words() -> None:
    assert quantity_name("approximation_error") == "Approximation error"
    assert quantity_name("flops") == "FLOPs"
