"""The table of scaling laws: what is fitted, what is said of it, and what is left out.

Mutants seen red: launch-bound times fitted, predictions among the sources, the letters of the
reasons mixed up, an interval printed for counts, a rounding error printed as a floor, both modes in
one table, the distance from the law left out, the number of processes not told, the place of a
median taken for its repeat.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from synthetic_records import LENGTHS, SPREAD, case, counted, record, suite, timed

from softbench import plugins
from softbench.case import Record
from softbench.reports import fits
from softbench.reports._laws import WHY
from softbench.statistics.power_law import fit

SEVEN = LENGTHS[:7]


def rendered(records: list[Record], folder: Path) -> tuple[str, str, dict[Any, dict[str, str]]]:
    """Markdown, LaTeX, and the rows of the CSV by (quantity, mechanism)."""
    markdown, latex, table = fits.render(records, folder)
    with table.open(encoding="utf-8", newline="") as file:
        rows = {(row["quantity"], row["label"]): row for row in csv.DictReader(file)}
    return markdown.read_text("utf-8"), latex.read_text("utf-8"), rows


def sweep(
    seconds: Callable[[int], float],
    lengths: tuple[int, ...] = SEVEN,
    spread: Sequence[float] = SPREAD,
) -> list[Record]:
    """Another process is the slowest at every length."""
    return [
        r
        for at, n in enumerate(lengths)
        for r in timed(case("soft", n), seconds(n), spread=[*spread[at % 3 :], *spread[: at % 3]])
    ]


def cells(markdown: str, *start: str) -> list[str]:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in markdown.split("\n")]
    (found,) = [row for row in rows if tuple(row[: len(start)]) == start]
    return found[len(start) :]


def test_a_linear_law_with_a_floor_is_found_and_called_so(tmp_path: Path) -> None:
    records = sweep(lambda n: 2e-3 + n * 1e-6)
    markdown, latex, rows = rendered(records, tmp_path)
    exponent, floor, local, n, off, verdict = cells(markdown, "Latency", "SOFT")
    assert (n, off, verdict) == ("7 × 3", "–", "linear")
    assert exponent.startswith("1.00 [0.9")
    assert floor.startswith("2.0")
    assert floor.endswith("ms")
    assert local.startswith("0.1")
    row = rows["latency", "SOFT"]
    assert float(row["exponent_low"]) < 1 < float(row["exponent_high"])
    assert float(row["scale"]) == pytest.approx(1e-6, rel=0.05)
    assert row["local_exponents"].count("[") == 6
    assert row["reason"]
    assert r"$\alpha$" in latex
    known = {one.id for one in records}
    assert set(row["record_ids"].split()) == known


def test_counts_have_their_law_without_interval(tmp_path: Path) -> None:
    counts = [r for n in SEVEN for r in counted(case("softmax", n), "flops", 3 * n * n)]
    markdown, _, rows = rendered(counts, tmp_path)
    told = cells(markdown, "FLOPs", "softmax (eager)")
    assert told == ["2.00", "0 kFLOP", "2.00 → 2.00", "7 × 1", "–", "quadratic"]
    row = rows["flops", "softmax (eager)"]
    assert row["exponent_low"] == row["exponent_high"] == row["exponent"]


def test_why_a_verdict_is_not_given_is_said(tmp_path: Path) -> None:
    steep = rendered(sweep(lambda n: n**1.5 * 1e-6), tmp_path)[0]
    few = rendered(sweep(lambda n: n * 1e-6, SEVEN[:4]), tmp_path)[0]
    one = rendered(sweep(lambda n: n * 1e-6, spread=[1.0]), tmp_path)[0]
    none = rendered(sweep(lambda n: n * 1e-6, SEVEN[:1]), tmp_path)[0]
    for markdown, letter in ((steep, "a"), (few, "c"), (one, "d"), (none, "c")):
        assert cells(markdown, "Latency", "SOFT")[-1] == f"undetermined ({letter})"
        assert f"({letter}) {WHY[letter]}" in markdown
        assert markdown.count("(b)") == 0
    assert cells(none, "Latency", "SOFT")[:3] == ["–", "–", "–"]


def test_a_verdict_that_hangs_on_the_smallest_length_is_none(tmp_path: Path) -> None:
    records = sweep(lambda n: n * 1e-6, SEVEN[:5], spread=(0.957, 1.0, 1.043))
    markdown, _, rows = rendered(records, tmp_path)
    assert cells(markdown, "Latency", "SOFT")[-1] == "undetermined (b)"
    assert "not without N = 196" in rows["latency", "SOFT"]["reason"]


def test_a_step_in_the_times_is_off_the_law(tmp_path: Path) -> None:
    stepped = sweep(lambda n: n * 1e-6 * (2 if n > 1000 else 1), spread=(0.99, 1.0, 1.01))
    markdown, _, rows = rendered(stepped, tmp_path)
    assert cells(markdown, "Latency", "SOFT")[4].endswith(" %")
    assert rows["latency", "SOFT"]["holds"] == "False"


def test_launch_bound_times_are_in_no_fit(tmp_path: Path) -> None:
    bound = timed(case("soft", 196), 1.0, launch_bound=True)
    records = [*bound, *sweep(lambda n: n * 1e-6, SEVEN[1:])]
    markdown, _, rows = rendered(records, tmp_path)
    assert cells(markdown, "Latency", "SOFT")[3:] == ["6 × 3", "–", "linear"]
    assert "1 launch-bound values are in no fit." in markdown
    row = rows["latency", "SOFT"]
    assert row["left_out"] == "196"
    assert not {one.id for one in bound} & set(row["record_ids"].split())


def test_what_was_predicted_in_place_of_a_failure_is_not_fitted(tmp_path: Path) -> None:
    lost = record(case("soft", 50176), status="skipped", reason="budget", predicted=9e9)
    _, _, rows = rendered([*sweep(lambda n: n * 1e-6), lost], tmp_path)
    assert rows["latency", "SOFT"]["lengths"] == " ".join(map(str, SEVEN))
    assert lost.id not in rows["latency", "SOFT"]["record_ids"]


def test_modes_have_tables_of_their_own_and_the_method_is_said(tmp_path: Path) -> None:
    markdown, latex, _ = rendered(suite(), tmp_path)
    forward, both = markdown.split("## ")[1:]
    assert forward.startswith("Growth with the tokens N, forward\n")
    assert both.startswith("Growth with the tokens N, forward + backward\n")
    assert forward.count("| Latency | SOFT |") == both.count("| Latency | SOFT |") == 1
    for said in (
        "profile-likelihood",
        "lengths × processes",
        "cpu, float32",
        "0.9 to 1.1 (linear)",
    ):
        assert said in markdown
    assert latex.count(r"\begin{table*}") == 2


def test_nothing_to_fit_is_said_plainly(tmp_path: Path) -> None:
    assert plugins.load("reports", "fits") is fits
    with pytest.raises(ValueError, match="no records"):
        fits.render([], tmp_path)
    with pytest.raises(ValueError, match="hold no measured latency"):
        fits.render(counted(case(), "parameters", 3), tmp_path)


def test_repeats_are_paired_by_number_where_one_is_missing(tmp_path: Path) -> None:
    """What remains at that length is of the first and the third process, not of the second."""
    factors = (0.9, 1.0, 1.1)
    made = [r for n in SEVEN for r in timed(case("soft", n), n * 1e-6, spread=factors)]
    lost = [one for one in made if (one.case.shape.seq_len, one.repeat) != (1600, 1)]
    row = rendered(lost, tmp_path)[2]["latency", "SOFT"]
    assert row["num_processes"] == "2"
    told = float(row["exponent_high"]) - float(row["exponent_low"])
    repeats = {n: (0, 2) if n == 1600 else (0, 1, 2) for n in SEVEN}
    medians = {n: [n * 1e-6 * factors[at] for at in repeats[n]] for n in SEVEN}
    paired, mixed = fit(medians, processes=repeats).exponent, fit(medians).exponent
    assert told == pytest.approx((paired.high or 0) - (paired.low or 0), rel=1e-3)
    assert told < 0.9 * ((mixed.high or 0) - (mixed.low or 0))
