"""Records become points and groups: nothing is averaged over survivors, nothing is mixed.

Mutants seen red: failures ignored where another repeat is fine, the first of two records with
one key kept, dtype left out of what a figure fixes, repeats in file order.
"""

from __future__ import annotations

from typing import Any

import pytest
from synthetic_records import case, record, timed

from softbench.case import Status
from softbench.reports._groups import groups
from softbench.reports._points import points


def test_repeats_make_one_point_that_knows_its_records() -> None:
    made = timed(case(), 0.002)
    (point,) = points(list(reversed(made)))
    assert point.estimate is not None
    assert point.estimate.num_processes == 3
    assert point.estimate.centre == pytest.approx(0.002, rel=0.01)
    assert point.record_ids == tuple(one.id for one in made)
    assert (point.seq_len, point.mode, point.unit) == (784, "forward", "s")


@pytest.mark.parametrize("status", ["error", "out_of_memory", "timeout"])
def test_survivors_of_a_failure_are_not_averaged(status: Status) -> None:
    lost = record(case(), repeat=1, status=status, reason="boom", predicted=3)
    (point,) = points([record(case(), repeat=0), lost, record(case(), repeat=2)])
    assert (point.status, point.estimate, point.predicted) == (status, None, 3.0)
    assert point.reason == "boom"
    assert len(point.record_ids) == 3


def test_a_skipped_repeat_leaves_the_others_standing() -> None:
    kept = record(case(), repeat=0)
    (point,) = points([kept, record(case(), repeat=1, status="skipped", reason="no time")])
    assert point.status == "ok"
    assert point.estimate is not None
    assert point.estimate.without_interval == "one process"
    assert point.record_ids == (kept.id,)


def test_the_last_record_of_a_key_counts() -> None:
    (point,) = points([record(case(), values=[1.0]), record(case(), values=[2.0])])
    assert point.estimate is not None
    assert point.estimate.centre == 2.0


@pytest.mark.parametrize("predicted", [None, "many", True, float("inf")])
def test_what_is_no_number_is_no_prediction(predicted: object) -> None:
    lost = record(case(), status="skipped", reason="budget")
    (point,) = points([lost.model_copy(update={"detail": {"predicted": predicted}})])
    assert (point.predicted, point.height) == (None, None)


def test_what_cannot_be_had_has_no_height() -> None:
    (point,) = points([record(case(), status="unsupported", reason="no", predicted=5.0)])
    assert point.height is None


def test_grids_tell_series_apart_only_where_one_length_has_several() -> None:
    square, flat = case(shape={"grid": "28x28"}), case(shape={"grid": "14x56"})
    assert {p.series.layout for p in points([record(square), record(flat)])} == {
        "1:1 grid",
        "1:4 grid",
    }
    alone = points([record(square), record(case(seq_len=1000))])
    assert {p.series.layout for p in alone} == {""}


@pytest.mark.parametrize(
    ("change", "suffixes"),
    [
        ({"dtype": "bfloat16"}, {"_bfloat16", "_float32"}),
        ({"device": "cuda:0"}, {"_cpu", "_cuda-0"}),
        ({"level": "layer"}, {"_layer", "_operator"}),
        ({"inputs": "smooth"}, {"_normal", "_smooth"}),
        ({"shape": {"head_dim": 32, "batch_size": 4}}, {"_B1_D64", "_B4_D32"}),
    ],
)
def test_what_differs_splits_and_names_the_figures(
    change: dict[str, Any], suffixes: set[str]
) -> None:
    found = groups([record(case()), record(case(**change))])
    assert {group.suffix for group in found} == suffixes
    assert all(len(group.points) == 1 for group in found)


def test_machines_are_never_mixed() -> None:
    found = groups([record(case(), environment="a" * 16), record(case(), environment="b" * 16)])
    assert {g.suffix for g in found} == {"_environment-aaaaaaaa", "_environment-bbbbbbbb"}


def test_one_setting_needs_no_suffix() -> None:
    (group,) = groups([record(case()), record(case("softmax", 196, mode="forward_backward"))])
    assert group.suffix == ""
    assert group.modes == ["forward", "forward_backward"]


def test_no_records_are_refused() -> None:
    with pytest.raises(ValueError, match="no records"):
        groups([])


def test_groups_stand_in_the_order_of_their_sizes() -> None:
    found = groups([record(case(shape={"head_dim": width})) for width in (64, 8, 16)])
    assert [group.suffix for group in found] == ["_D8", "_D16", "_D64"]
