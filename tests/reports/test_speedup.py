"""The table of speed-ups: against which it is told, which way round, with which interval."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from synthetic_records import case, counted, reached, record, timed

from softbench import plugins
from softbench.case import Record
from softbench.reports import speedup

STEADY = (0.999, 1.0, 1.001)


def records(softmax: float = 6e-3) -> list[Record]:
    made: list[Record] = []
    seconds = {("soft", "eager"): 4e-3, ("soft", "fused"): 1e-3}
    seconds |= {("softmax", "eager"): 9e-3, ("softmax", "sdpa"): softmax}
    for (attention, backend), each in seconds.items():
        told = reached(2.5e7, each, 1e4)
        one = case(attention, 784, backend=backend)
        macs = 20_000_000 if backend == "fused" else 25_000_000
        made += timed(one, each, spread=STEADY, **told) + counted(one, "macs", macs)
    return made


def rendered(given: list[Record], folder: Path) -> tuple[str, dict[str, dict[str, str]]]:
    *_, markdown, _, table = speedup.render(given, folder)
    with table.open(encoding="utf-8", newline="") as file:
        return markdown.read_text("utf-8"), {row["label"]: row for row in csv.DictReader(file)}


def test_factors_are_the_others_time_over_its_own(tmp_path: Path) -> None:
    markdown, rows = rendered(records(), tmp_path)
    row = rows["SOFT (fused)"]
    assert float(row["over_eager"]) == pytest.approx(4)
    assert 3.9 < float(row["over_eager_low"]) < 4 < float(row["over_eager_high"]) < 4.1
    assert float(row["over_best_softmax"]) == pytest.approx(6)
    assert row["best_softmax"] == "softmax (sdpa)"
    assert float(row["gemm_fraction"]) == pytest.approx(0.25)
    assert "4.00× [" in markdown
    assert "(softmax (sdpa))" in markdown
    assert "| 25 % |" in markdown
    assert len(row["record_ids"].split()) == 10


def test_the_floor_is_two_flops_a_multiply_add_at_the_gemm_rate(tmp_path: Path) -> None:
    """Mutants seen red: one FLOP a multiply-add, the floor over the time, the eager one's work."""
    markdown, rows = rendered(records(), tmp_path)
    assert float(rows["SOFT (fused)"]["over_floor"]) == pytest.approx(1e-3 / (4e7 / 1e11))
    assert "2.50×" in markdown


def test_without_a_count_there_is_no_floor(tmp_path: Path) -> None:
    _, rows = rendered([r for r in records() if r.metric != "macs"], tmp_path)
    assert rows["SOFT (fused)"]["over_floor"] == ""


def test_the_best_softmax_is_the_faster_one(tmp_path: Path) -> None:
    _, rows = rendered(records(softmax=1e-2), tmp_path)
    assert rows["SOFT (fused)"]["best_softmax"] == "softmax (eager)"
    assert float(rows["SOFT (fused)"]["over_best_softmax"]) == pytest.approx(9)


def test_a_softmax_is_not_held_against_itself(tmp_path: Path) -> None:
    _, rows = rendered(records(), tmp_path)
    assert rows["softmax (sdpa)"]["best_softmax"] == "softmax (eager)"


def test_what_failed_is_no_rival(tmp_path: Path) -> None:
    lost = [r for r in records() if (r.case.attention, r.case.backend) != ("softmax", "sdpa")]
    lost.append(record(case("softmax", 784, backend="sdpa"), status="timeout", reason="slow"))
    _, rows = rendered(lost, tmp_path)
    assert rows["SOFT (fused)"]["best_softmax"] == "softmax (eager)"


def test_without_a_pair_it_says_what_is_needed(tmp_path: Path) -> None:
    alone = [r for r in records() if r.case.backend == "eager"]
    with pytest.raises(ValueError, match=r"backend: \[eager, fused\]"):
        speedup.render(alone, tmp_path)


def test_it_is_a_plugin() -> None:
    assert plugins.load("reports", "speedup") is speedup
