"""What the base's own suite file held: cells dropped and rules loosened are seen, others are not.

Mutants seen red: cells of the base not looked for; new cells told; cells looked for by their names;
rules not compared; tightened rules told; a suite of the base that cannot be read taken for none.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from softbench.gate.earlier import of_the_base
from softbench.gate.outcome import Trouble
from softbench.suite import expand, parse, read

TEXT = """
shape: {num_heads: 1, head_dim: 8, seq_len: 16}
attention: {softmax: {}, linformer: {projection_length: 4}}
device: cpu
dtype: float32
metrics: [flops]
gate: {margin: 0.02}
"""


def troubles(tmp_path: Path, before: str, after: str) -> list[Trouble]:
    base, head = tmp_path / "base.yaml", tmp_path / "head.yaml"
    base.write_text(before)
    head.write_text(after)
    suite = parse(read(head), "given", "given")
    return of_the_base(base, suite, expand(suite, "cpu"), "cpu")


def test_nothing_is_told_of_the_same_suite_or_of_cells_that_are_new(tmp_path: Path) -> None:
    assert troubles(tmp_path, TEXT, TEXT) == []
    assert troubles(tmp_path, TEXT.replace("softmax: {}, ", ""), TEXT) == []


def test_a_cell_that_the_change_drops_is_missing(tmp_path: Path) -> None:
    (lost,) = troubles(tmp_path, TEXT, TEXT.replace("softmax: {}, ", ""))
    assert (lost.kind, lost.name) == ("missing", "softmax/eager N=16 forward")
    assert "the base's suite has this case" in lost.reason


def test_a_cell_that_the_change_makes_another_is_renamed(tmp_path: Path) -> None:
    (other,) = troubles(
        tmp_path, TEXT, TEXT.replace("projection_length: 4", "projection_length: 2")
    )
    assert other.kind == "renamed"
    assert "params.projection_length was 4, is 2" in other.reason


@pytest.mark.parametrize(
    ("new", "words"),
    [
        ("gate: {margin: 0.05}", "margin is 0.02 in the base's suite, 0.05 here"),
        ("gate: {margin: 0.02, alpha: 0.01}", "alpha is 0.05 in the base's suite, 0.01 here"),
        ("gate: {margin: 0.02}\nthreads: 2", "threads is 1 in the base's suite, 2 here"),
        ("gate: {margin: 0.02, budgets: {operators: 0.5}}", "budgets.operators is 0.0"),
        ("gate: {margin: 0.02, pairs: 11}", "pairs is 12"),
    ],
)
def test_a_rule_that_the_change_loosens_is_told(tmp_path: Path, new: str, words: str) -> None:
    (rule,) = troubles(tmp_path, TEXT, TEXT.replace("gate: {margin: 0.02}", new))
    assert (rule.kind, rule.name) == ("loosened", None)
    assert words in rule.reason
    assert "--allow-rules" in rule.remedy


def test_a_rule_that_is_tightened_is_nobodys_loss(tmp_path: Path) -> None:
    tight = TEXT.replace("margin: 0.02", "margin: 0.01, detect: 0.08")
    assert troubles(tmp_path, TEXT, tight) == []


def test_a_cell_that_only_its_name_has_changed_is_not_lost(tmp_path: Path) -> None:
    """A second variant beside it makes the name say which one it is."""
    twins = TEXT.replace("projection_length: 4", "projection_length: [4, 8]")
    assert troubles(tmp_path, TEXT, twins) == []


@pytest.mark.parametrize("text", ["", "x: [", TEXT.replace("softmax", "gone")])
def test_a_suite_that_cannot_be_read_any_more_is_not_nothing(tmp_path: Path, text: str) -> None:
    (trouble,) = troubles(tmp_path, text, TEXT)
    assert (trouble.kind, trouble.name) == ("protocol", None)
    assert "cannot be read here" in trouble.reason
