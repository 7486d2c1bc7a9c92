"""The table of crossovers: bounds and intervals in words, and nothing that was not measured.

Mutants seen red: a prediction taken as measured, softmax's losses not mentioned, a mechanism
compared across grids, backends of softmax lumped together, passing wins left out, modes mixed, a
crossing printed for counts, its censored end printed as a length, its ends swapped.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from synthetic_records import LENGTHS, case, counted, record, suite, timed

from softbench import plugins
from softbench.case import Record
from softbench.reports import crossovers


def rendered(records: list[Record], folder: Path) -> tuple[str, str, list[dict[str, str]]]:
    markdown, latex, long = crossovers.render(records, folder)
    with long.open(encoding="utf-8", newline="") as file:
        return markdown.read_text("utf-8"), latex.read_text("utf-8"), list(csv.DictReader(file))


def row(markdown: str, *start: str) -> list[str]:
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in markdown.split("\n")]
    (found,) = [cells for cells in lines if tuple(cells[: len(start)]) == start]
    return found[len(start) :]


def sweep(attention: str, seconds: Callable[[int], float], **changes: Any) -> list[Record]:
    return [one for n in LENGTHS[:4] for one in timed(case(attention, n, **changes), seconds(n))]


def test_it_is_a_plugin(tmp_path: Path) -> None:
    assert plugins.load("reports", "crossovers") is crossovers
    paths = crossovers.render(suite(), tmp_path / "new")
    assert [path.name for path in paths] == [f"crossovers.{kind}" for kind in ("md", "tex", "csv")]


def test_each_quantity_has_its_own_crossover_with_each_softmax(tmp_path: Path) -> None:
    markdown, latex, rows = rendered(suite(), tmp_path)
    forward, both = markdown.split("## ")[1:]
    assert row(forward, "Mechanism") == [
        *("Better than", "Latency", "Latency: crossing", "Peak memory", "FLOPs"),
    ]
    told = row(forward, "SOFT", "softmax (eager)")
    assert [told[0], *told[2:]] == ["(400, 784]", "below 196", "(400, 784]"]
    told = row(forward, "SOFT", "softmax (sdpa)")
    assert [told[0], *told[2:]] == [
        *("(400, 784]", "not within the range (to 12,544)", "(400, 784]"),
    ]
    assert "forward + backward" in both
    assert r"{(400, 784]}" in latex
    assert len(rows) == 2 * 2 * 3


def test_what_is_predicted_is_not_measured_and_softmax_losses_are_said(tmp_path: Path) -> None:
    soft = sweep("soft", lambda n: 1e-3)
    softmax = timed(case("softmax", 196), 5e-4)
    softmax += [
        record(case("softmax", n), status="skipped", reason="b", predicted=9.0) for n in (400, 784)
    ]
    markdown, _, (told,) = rendered([*soft, *softmax], tmp_path)
    assert row(markdown, "SOFT", "softmax (eager)") == ["not within the range (to 196)"]
    assert "softmax (eager) skipped at N = 400, 784 (latency)." in markdown
    assert (told["lengths"], told["after"], told["until"]) == ("196", "196", "")
    assert "skipped at N = 400, 784" in told["remark"]


def test_a_mechanism_that_failed_somewhere_is_not_said_to_be_better_there(tmp_path: Path) -> None:
    soft = [*timed(case("soft", 196), 1e-3), *timed(case("soft", 400), 1e-3)]
    soft.append(record(case("soft", 784), status="timeout", reason="t", predicted=1e-9))
    markdown, _, _ = rendered([*soft, *sweep("softmax", lambda n: n * 4e-6)], tmp_path)
    assert row(markdown, "SOFT", "softmax (eager)")[0] == "(196, 400]"


def test_twins_never_cross(tmp_path: Path) -> None:
    records = [*sweep("soft", lambda n: n * 1e-6), *sweep("softmax", lambda n: n * 1e-6)]
    records += counted(case("soft"), "flops", 5) + counted(case("softmax"), "flops", 5)
    markdown, _, _ = rendered(records, tmp_path)
    assert row(markdown, "SOFT", "softmax (eager)") == [
        *("undetermined", "not within the range (to 784)"),
    ]


def test_what_cannot_be_told_is_called_undetermined(tmp_path: Path) -> None:
    def close(n: int) -> float:
        return {196: 5e-3, 400: 1e-3, 784: 1e-3, 1600: 1e-4}[n]

    markdown, _, _ = rendered([*sweep("soft", close), *sweep("softmax", lambda n: 1e-3)], tmp_path)
    assert row(markdown, "SOFT", "softmax (eager)")[0] == "undetermined between 196 and 1,600"


def test_a_win_that_does_not_last_is_a_remark(tmp_path: Path) -> None:
    def dip(n: int) -> float:
        return 1e-4 if n == 400 else 5e-3

    markdown, _, rows = rendered([*sweep("soft", dip), *sweep("softmax", lambda n: 1e-3)], tmp_path)
    assert row(markdown, "SOFT", "softmax (eager)") == ["not within the range (to 1,600)"]
    said = "Better for a while only: SOFT than softmax (eager) (latency) at N = 400."
    assert said in markdown
    assert rows[0]["better_at"] == "400"


def test_where_the_curves_cross_stands_beside_the_bracket_with_its_interval(tmp_path: Path) -> None:
    """A constant and n times 4 µs cross at 250 tokens."""
    records = [*sweep("soft", lambda n: 1e-3), *sweep("softmax", lambda n: n * 4e-6)]
    markdown, _, (told,) = rendered(records, tmp_path)
    bracket, place = row(markdown, "SOFT", "softmax (eager)")
    assert bracket == "(196, 400]"
    centre, low, high = (float(told[f"crossing{end}"]) for end in ("", "_low", "_high"))
    assert centre == pytest.approx(250, rel=1e-3)
    assert 196 < low < 250 < high < 400
    assert place == f"{centre:.0f} [{low:.0f}, {high:.0f}]"
    assert "for the last time" in markdown


def test_a_crossing_that_may_lie_outside_is_censored_and_counts_have_none(tmp_path: Path) -> None:
    def noisy(attention: str, seconds: Callable[[int], float]) -> list[Record]:
        spread = (0.6, 1.0, 1.8)
        lengths = LENGTHS[:4]
        return [r for n in lengths for r in timed(case(attention, n), seconds(n), spread=spread)]

    counts = [
        *[r for n in LENGTHS[:4] for r in counted(case("soft", n), "flops", 10**6)],
        *[r for n in LENGTHS[:4] for r in counted(case("softmax", n), "flops", n * 4000)],
    ]
    times = [*noisy("soft", lambda n: 1e-3), *noisy("softmax", lambda n: n * 1.2e-6)]
    markdown, _, rows = rendered([*times, *counts], tmp_path)
    cells = row(markdown, "SOFT", "softmax (eager)")
    assert cells[1].endswith(", above 1,600]")
    assert cells[2] == "(196, 400]"
    assert len(cells) == 3
    told = {row["quantity"]: row for row in rows}
    assert told["latency"]["crossing_high"] == told["flops"]["crossing"] == ""


def test_grids_and_settings_are_not_mixed(tmp_path: Path) -> None:
    wide: dict[str, Any] = {"shape": {"grid": "14x56"}}
    records = [*timed(case(), 1e-3), *timed(case("softmax"), 1e-4)]
    records += [*timed(case(**wide), 1e-3), *timed(case("softmax", **wide), 1e-2)]
    _, _, rows = rendered(records, tmp_path)
    told = {row["mechanism"]: (row["rival"], row["crossover"]) for row in rows}
    assert told == {
        "SOFT, 1:1 grid": ("softmax (eager), 1:1 grid", "not within the range (to 784)"),
        "SOFT, 1:4 grid": ("softmax (eager), 1:4 grid", "below 784"),
    }
    apart = [*timed(case(dtype="bfloat16"), 1e-3), *timed(case("softmax"), 1e-4)]
    with pytest.raises(ValueError, match="no crossover to look for"):
        crossovers.render(apart, tmp_path)


def test_every_cell_is_traced_to_its_records(tmp_path: Path) -> None:
    records = suite(lengths=(196, 784))
    _, _, rows = rendered(records, tmp_path)
    known = {one.id: one for one in records}
    for told in rows:
        sources = [known[id_] for id_ in told["record_ids"].split()]
        assert {s.case.attention for s in sources} == {"soft", "softmax"}
        assert {(s.metric, s.case.mode) for s in sources} == {(told["quantity"], told["mode"])}


def test_the_rule_and_the_setting_are_said(tmp_path: Path) -> None:
    markdown, latex, _ = rendered(suite(), tmp_path)
    for said in ("Nothing is extrapolated.", "3 fresh processes", "cpu, float32"):
        assert said in markdown
        assert said in latex


def test_nothing_at_all_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no records"):
        crossovers.render([], tmp_path)
    with pytest.raises(ValueError, match="takes a mechanism and a softmax"):
        crossovers.render(timed(case(), 1e-3), tmp_path)
