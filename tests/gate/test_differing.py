"""What differs between two sets of counts, and how it is told.

Mutants seen red: operators compared by their number alone; a budget that is absolute; a budget that
covers only growth; the backend that ran not compared; missing cases not told; a renamed case told
as missing and new; a case that became unsupported let pass; parameters of a case not compared.
"""

from __future__ import annotations

import pytest
from gate_cases import case, entry

from softbench.gate.differing import changes, troubles

KNOWN = {"a": entry(), "b": entry("soft")}


def test_nothing_differs_between_equals() -> None:
    assert changes(KNOWN, KNOWN, {}) == []
    assert troubles(KNOWN, KNOWN) == []


def test_a_count_that_grew_is_told_from_what_to_what() -> None:
    found = KNOWN | {"b": entry("soft", counts={"dispatched_flops": 1001})}
    (change,) = changes(found, KNOWN, {})
    assert (change.name, change.quantity, change.unit) == ("b", "dispatched_flops", "FLOP")
    assert (change.before, change.after, change.verdict) == (1000, 1001, "regression")


def test_operators_of_other_names_and_one_number_are_a_change() -> None:
    found = KNOWN | {"a": entry(by_operator={"aten.mm": 2, "aten.tanh": 1})}
    (change,) = changes(found, KNOWN, {})
    assert change.operators == {"aten.exp": (1, 0), "aten.tanh": (0, 1)}
    assert (change.before, change.after, change.verdict) == (3, 3, "regression")


def test_a_budget_of_operators_forgives_so_many_and_no_swap_of_all() -> None:
    known = {"a": entry(counts={"operators": 100}, by_operator={"aten.mm": 100})}
    one = entry(counts={"operators": 100}, by_operator={"aten.mm": 99, "aten.exp": 1})
    all_of_them = entry(counts={"operators": 100}, by_operator={"aten.exp": 100})
    assert changes({"a": one}, known, {"operators": 0.01}) == []
    (change,) = changes({"a": all_of_them}, known, {"operators": 0.01})
    assert change.verdict == "regression"


def test_fewer_of_the_same_operators_are_an_old_baseline() -> None:
    fewer = entry(counts={"operators": 2}, by_operator={"aten.mm": 1, "aten.exp": 1})
    (change,) = changes({"a": fewer}, {"a": entry()}, {})
    assert (change.before, change.after, change.verdict) == (3, 2, "error")


@pytest.mark.parametrize(("after", "told"), [(1010, 0), (990, 0), (1011, 1), (989, 1)])
def test_a_budget_is_a_share_both_ways(after: int, told: int) -> None:
    found = KNOWN | {"a": entry(counts={"dispatched_flops": after})}
    assert len(changes(found, KNOWN, {"dispatched_flops": 0.01})) == told
    assert len(changes(found, KNOWN, {"operators": 0.01})) == 1


def test_another_backend_that_ran_is_a_regression_whatever_it_counts() -> None:
    (change,) = changes({"a": entry(ran="math")}, {"a": entry(ran="flash")}, {})
    assert (change.quantity, change.before, change.after) == ("backend_ran", "flash", "math")
    assert change.verdict == "regression"


def test_cases_of_one_side_are_told_with_who_lacks_them() -> None:
    missing, new = troubles({"a": entry(), "c": entry("soft_norm")}, KNOWN)
    assert (missing.kind, missing.name) == ("missing", "b")
    assert missing.reason == "the baseline has this case, the suite no longer has it"
    assert (new.kind, new.name) == ("new", "c")
    assert "the base's suite has not" in troubles({"c": entry()}, {}, "the base's suite")[0].reason


def test_a_case_under_another_name_is_renamed_and_nothing_else() -> None:
    (renamed,) = troubles({"a": entry(), "z": entry("soft")}, KNOWN)
    assert (renamed.kind, renamed.name) == ("renamed", "b")
    assert "'z'" in renamed.reason


def test_a_name_that_stands_for_another_case_says_what_changed() -> None:
    other = entry(case=case(params={"num_landmarks": 9}))
    (renamed,) = troubles({"a": other}, {"a": entry()})
    assert renamed.kind == "renamed"
    assert "params.num_landmarks was None, is 9" in renamed.reason


@pytest.mark.parametrize(
    ("known", "found", "kind"),
    [(None, "no CUDA here", "failed"), ("no CUDA here", None, "stale")],
)
def test_what_became_or_is_no_longer_unsupported_is_told(
    known: str | None, found: str | None, kind: str
) -> None:
    before, after = {"a": entry(unsupported=known)}, {"a": entry(unsupported=found)}
    (trouble,) = troubles(after, before)
    assert trouble.kind == kind
    assert "no CUDA here" in trouble.reason
    assert changes(after, before, {}) == []
