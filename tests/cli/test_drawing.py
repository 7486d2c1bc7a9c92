"""Which reports of a suite are drawn where some have nothing to draw.

Mutants seen red: stopping at the first such report, keeping it to oneself, an error where a report
was asked for swallowed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from softbench.cli import folder as results

sys.path.insert(0, str(Path(__file__).parents[1] / "reports"))
from synthetic_records import case, record


@pytest.fixture
def only_soft(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records of one mechanism, for which `crossovers` has nothing and `table` has something."""
    shown = [record(case("soft", seq_len), "flops", [7]) for seq_len in (196, 784)]
    monkeypatch.setattr(results, "selection", lambda folder: (shown, ["crossovers", "table"]))


@pytest.mark.usefixtures("only_soft")
def test_a_report_with_nothing_to_draw_keeps_no_other_back(tmp_path: Path) -> None:
    told: list[str] = []
    files = results.draw(tmp_path, told.append)
    assert {file.name for file in files} == {"table.md", "table.tex", "table.csv"}
    assert len(told) == 1
    assert "report crossovers" in told[0]


@pytest.mark.usefixtures("only_soft")
def test_a_report_that_was_asked_for_must_have_something(tmp_path: Path) -> None:
    with pytest.raises(results.NothingToDrawError, match="report crossovers"):
        results.draw(tmp_path, lambda line: None, ["crossovers"])


def test_nothing_at_all_to_draw_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = [record(case("soft"), "flops", [7])]
    monkeypatch.setattr(results, "selection", lambda folder: (shown, ["crossovers"]))
    with pytest.raises(results.NothingToDrawError):
        results.draw(tmp_path, lambda line: None)
