"""The file of counts: one form, versions apart, and what cannot be used refused with its remedy.

Mutants seen red: names unsorted; counts of other versions of torch dropped; a baseline of another
suite taken; a missing file taken for an empty one; a failed case also told as missing; the remedy
left out; budgets not passed on.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from gate_cases import entry

from softbench.gate import baseline
from softbench.gate.baseline import Baseline, BaselineError, Entry
from softbench.gate.checking import Counts, check, updated
from softbench.suite import Suite, parse

ENTRIES = {"b": entry("soft"), "a": entry()}


def suite(name: str = "given", **gate: object) -> Suite:
    raw = {"shape": {"seq_len": 16}, "attention": {"softmax": {}}, "metrics": ["flops"]}
    return parse(raw | {"gate": gate}, name, name)


def counts(
    entries: Mapping[str, Entry] = ENTRIES,
    torch: str = "2.11.0",
    failed: tuple[str, ...] = (),
    of: Suite | None = None,
) -> Counts:
    remedy = "softbench gate given --update-baseline"
    return Counts(of or suite(), torch, entries, frozenset(failed), remedy)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "given.baseline.json"
    file.write_text(updated(counts(), file))
    return file


def test_it_lies_beside_its_suite() -> None:
    assert baseline.beside(Path("suites/ci.yaml")) == Path("suites/ci.baseline.json")


def test_it_is_written_alike_from_the_same_counts_and_reads_as_written(path: Path) -> None:
    text = path.read_text()
    assert updated(counts(dict(reversed(ENTRIES.items()))), path) == text
    assert baseline.read(path).torch == {"2.11.0": ENTRIES}
    assert text.endswith("\n")


def test_an_entry_that_counts_nothing_is_no_baseline(path: Path) -> None:
    path.write_text(path.read_text().replace('"operators": 3, ', "", 1))
    with pytest.raises(BaselineError, match="a has no operators"):
        baseline.read(path)


def test_a_case_is_a_line_so_that_a_difference_names_it(path: Path) -> None:
    before = path.read_text().splitlines()
    grown = {**ENTRIES, "b": entry("soft", counts={"operators": 4})}
    after = updated(counts(grown), path).splitlines()
    differing = [new for old, new in zip(before, after, strict=True) if old != new]
    assert len(differing) == 1
    assert '"b"' in differing[0]


def test_counts_of_other_versions_of_torch_are_kept(path: Path) -> None:
    path.write_text(updated(counts({"a": entry()}, torch="2.12.0"), path))
    kept = baseline.read(path).torch
    assert list(kept) == ["2.11.0", "2.12.0"]
    assert kept["2.11.0"] == ENTRIES


def test_equal_counts_are_a_pass_and_say_how_many(path: Path) -> None:
    found, troubles = check(counts(), path)
    assert found is not None
    assert (found.cases, found.changes, troubles) == (2, [], [])


def test_a_change_is_found_and_the_suites_budget_forgives_it(path: Path) -> None:
    grown = {**ENTRIES, "b": entry("soft", counts={"dispatched_flops": 1005})}
    found, _ = check(counts(grown), path)
    assert found is not None
    assert [change.name for change in found.changes] == ["b"]
    forgiving = suite(budgets={"dispatched_flops": 0.01})
    found, _ = check(counts(grown, of=forgiving), path)
    assert found is not None
    assert found.changes == []


@pytest.mark.parametrize(
    ("given", "kind", "words"),
    [
        ({"torch": "2.12.0"}, "environment", "torch 2.11.0; torch 2.12.0 is installed"),
        ({"of": suite("other")}, "protocol", "of the suite 'given', this one is 'other'"),
    ],
)
def test_a_baseline_of_something_else_compares_nothing(
    path: Path, given: dict[str, object], kind: str, words: str
) -> None:
    found, (trouble,) = check(counts(**given), path)  # type: ignore[arg-type]
    assert found is None
    assert (trouble.kind, trouble.name) == (kind, None)
    assert words in trouble.reason
    assert "--update-baseline" in trouble.remedy


def test_no_baseline_compares_nothing_and_says_what_makes_one(tmp_path: Path) -> None:
    found, (trouble,) = check(counts(), tmp_path / "none.json")
    assert found is None
    assert "no baseline" in trouble.reason
    assert "--update-baseline" in trouble.remedy


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 2}', "\x00", '{"schema": 1, "x": 1}'])
def test_a_damaged_baseline_compares_nothing(path: Path, text: str) -> None:
    path.write_text(text)
    found, (trouble,) = check(counts(), path)
    assert found is None
    assert str(path) in trouble.reason
    with pytest.raises(BaselineError):
        updated(counts(), path)


def test_a_baseline_of_another_suite_is_not_written_over(path: Path) -> None:
    with pytest.raises(BaselineError, match="give another --baseline"):
        updated(counts(of=suite("other")), path)


def test_a_case_that_failed_is_not_told_as_missing_too(path: Path) -> None:
    found, troubles = check(counts({"a": entry()}, failed=("b",)), path)
    assert troubles == []
    assert found is not None
    assert found.cases == 1
    (missing,) = check(counts({"a": entry()}), path)[1]
    assert (missing.kind, missing.name) == ("missing", "b")
    assert "--update-baseline" in missing.remedy


def test_an_unsupported_case_is_kept_with_its_reason(path: Path) -> None:
    entries = {"a": Entry(case=entry().case, unsupported="no such device")}
    assert Baseline.model_validate_json(updated(counts(entries), path)).torch["2.11.0"] == entries
