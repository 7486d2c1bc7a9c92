"""The Pareto fronts: who is on them, who is dominated beyond doubt, and how that is drawn.

Mutants seen red: a predicted cost placed, every digit of an error counted, rounding counted as an
error, errors computed once not judged, softmax left out of the contest, the front of accuracy drawn
as that of an error, the dominated drawn in full, a trained softmax drawn as a line, dominated rows
in the table, a probability for what is not judged, the dominator called by its id, numbers beside
dominated cases.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from drawing import assert_readable, marks, texts
from synthetic_records import case, counted, record, timed

from softbench import plugins
from softbench.case import Record
from softbench.reports import _fronts, pareto
from softbench.reports._figure import own_settings
from softbench.reports._groups import groups
from softbench.reports._style import CORE, POINT_SIZE
from softbench.reports.landmarks import stops_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TIGHT = (0.995, 1.0, 1.005)


def option(
    attention: str, rank: int, error: float, seconds: float, flops: int = 10**6, **changes: Any
) -> list[Record]:
    """One case with its error, its latency and its FLOPs."""
    spread = changes.pop("spread", TIGHT)
    metric, better = changes.pop("metric", "approximation_error"), changes.pop("better", "lower")
    of = case(attention, 784, params={"num_landmarks": rank}, inputs="smooth", **changes)
    return [
        record(of, metric, [error], better=better),
        *timed(of, seconds, spread=spread),
        *counted(of, "flops", flops),
    ]


def three() -> list[Record]:
    """Two on the front, and one that is worse and slower than the second."""
    return [
        *option("soft", 16, 0.5, 1e-3, 10**6),
        *option("soft", 49, 0.1, 3e-3, 3 * 10**6),
        *option("nystromformer", 16, 0.2, 9e-3, 10**6),
    ]


def rows(records: list[Record], folder: Path) -> dict[tuple[str, str, str], dict[str, str]]:
    """The CSV's rows by (mechanism, error, cost)."""
    table = next(path for path in pareto.render(records, folder) if path.suffix == ".csv")
    with table.open(encoding="utf-8", newline="") as file:
        return {(r["label"], r["error"], r["cost"]): r for r in csv.DictReader(file)}


def drawn(records: list[Record]) -> Figure:
    (group,) = groups(records, ("seq_len", "mode"))
    with own_settings():
        told = pareto.placed(group)
        return _fronts.draw(*stops_of(group), told, pareto.notes(group, {}))


def corners(axes: Axes) -> list[list[float]]:
    (line,) = [one for one in axes.get_lines() if one.get_color() == _fronts.FRONT["color"]]
    return np.asarray(line.get_data(), dtype=float).T.tolist()  # type: ignore[no-any-return]


@pytest.fixture
def tables_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pareto, "_figure", lambda *_: [])


@pytest.mark.usefixtures("tables_only")
def test_the_front_and_who_is_dominated(tmp_path: Path) -> None:
    told = rows(three(), tmp_path)
    by_latency = {label: row for (label, _, cost), row in told.items() if cost == "latency"}
    assert {label: row["on_front"] for label, row in by_latency.items()} == {
        "SOFT, M = 16": "True",
        "SOFT, M = 49": "True",
        "Nyströmformer": "False",
    }
    worse = by_latency["Nyströmformer"]
    assert worse["dominated_by"] == "SOFT, M = 49"
    assert float(worse["probability_dominated"]) > 0.99
    by_flops = told["Nyströmformer", "approximation_error", "flops"]
    assert (by_flops["on_front"], by_flops["dominated_by"]) == ("True", "")
    known = {one.id: one for one in three()}
    sources = [known[id_] for id_ in worse["record_ids"].split()]
    assert {source.metric for source in sources} == {"approximation_error", "latency"}


@pytest.mark.usefixtures("tables_only")
def test_the_table_shows_the_fronts_and_counts_the_rest(tmp_path: Path) -> None:
    worse = option("performer", 9, 0.9, 9e-2, 10**8)
    markdown = pareto.render([*three(), *worse], tmp_path)[0].read_text("utf-8")
    lines = [[c.strip() for c in line.split("|")] for line in markdown.split("\n")]
    told = {cells[2]: cells[3:5] for cells in lines if len(cells) == 6}
    assert told["SOFT, M = 49"] == ["front (0.00)", "front (0.00)"]
    assert told["Nyströmformer"] == ["dominated", "front (0.00)"]
    assert "Performer" not in told
    assert "1 more cases are on no front" in markdown
    assert "3 fresh processes" in markdown


@pytest.mark.usefixtures("tables_only")
def test_what_has_no_interval_is_not_judged(tmp_path: Path) -> None:
    lone = option("performer", 9, 0.3, 2e-3, spread=[1.0])
    told = rows([*three(), *lone], tmp_path)
    row = told["Performer", "approximation_error", "latency"]
    assert (row["judged"], row["probability_dominated"], row["dominated_by"]) == ("False", "", "")
    assert row["on_front"] == "True"
    assert "not judged" in (tmp_path / "pareto.md").read_text("utf-8")


@pytest.mark.usefixtures("tables_only")
def test_a_fourth_digit_of_the_error_makes_nobody_better(tmp_path: Path) -> None:
    twins = [("soft", 0.12341), ("nystromformer", 0.12343)]
    told = rows([r for name, error in twins for r in option(name, 49, error, 1e-3)], tmp_path)
    by_flops = [row for (_, _, cost), row in told.items() if cost == "flops"]
    assert [row["on_front"] for row in by_flops] == ["True", "True"]
    assert {row["dominated_by"] for row in by_flops} == {""}


@pytest.mark.usefixtures("tables_only")
def test_a_predicted_cost_stands_nowhere(tmp_path: Path) -> None:
    of = case("performer", 784, params={"num_landmarks": 4}, inputs="smooth")
    lost = record(of, status="skipped", reason="budget", predicted=1e-9)
    told = rows([*three(), record(of, "approximation_error", [1e-3]), lost], tmp_path)
    assert {label for label, _, cost in told if cost == "latency"}.isdisjoint({"Performer"})


@pytest.mark.usefixtures("tables_only")
def test_softmax_dominates_what_costs_more_against_it_and_rounding_is_no_error(
    tmp_path: Path,
) -> None:
    metric: dict[str, Any] = {"metric": "softmax_error"}
    fused = option("softmax", 0, 2e-7, 2e-3, backend="sdpa", **metric)
    unfused = option("softmax", 0, 1e-7, 2e-3, **metric)
    dear, cheap = (
        option("soft", 16, 0.5, s, f, **metric) for s, f in ((9e-3, 10**7), (1e-3, 10**5))
    )
    told = rows([*fused, *unfused, *dear], tmp_path)
    assert told["SOFT", "softmax_error", "latency"]["dominated_by"].startswith("softmax")
    assert told["softmax (sdpa)", "softmax_error", "flops"]["on_front"] == "True"
    assert told["softmax (eager)", "softmax_error", "flops"]["on_front"] == "True"
    told = rows([*fused, *cheap], tmp_path)
    assert told["SOFT", "softmax_error", "latency"]["on_front"] == "True"


def test_the_front_is_a_step_line_and_the_dominated_fade() -> None:
    latency, flops = drawn(three()).axes
    xs, ys = zip(*corners(latency), strict=True)
    assert ys[0] == pytest.approx(latency.get_ylim()[1])
    assert list(ys[1:]) == pytest.approx([0.5, 0.5, 0.1, 0.1])
    assert xs[1] == xs[0]
    assert xs[-1] == pytest.approx(latency.get_xlim()[1])
    alphas = {
        line.get_marker(): line.get_alpha()
        for line in latency.get_lines()
        if line.get_marker() in (CORE["soft"].marker, CORE["nystromformer"].marker)
    }
    assert alphas == {CORE["soft"].marker: 1.0, CORE["nystromformer"].marker: _fronts.FADED}
    assert [text.get_text() for text in latency.texts] == ["16", "49"]
    assert "faded: dominated beyond doubt" in texts(drawn(three()))
    assert len(marks(flops, CORE["nystromformer"].marker)) == 1


def test_accuracy_is_better_higher_and_softmax_a_case_like_any() -> None:
    metric: dict[str, Any] = {"metric": "accuracy", "better": "higher"}
    records = [
        *option("soft", 16, 0.7, 1e-3, **metric),
        *option("softmax", 0, 0.8, 3e-3, **metric),
        *option("performer", 4, 0.6, 9e-3, **metric),
    ]
    latency = drawn(records).axes[0]
    ys = [y for _, y in corners(latency)]
    assert ys[0] == pytest.approx(latency.get_ylim()[0])
    assert ys[1:] == pytest.approx([0.7, 0.7, 0.8, 0.8])
    assert len(marks(latency, CORE["softmax"].marker)) == 1


def test_nothing_overlaps() -> None:
    crowd = [
        one
        for i, name in enumerate(CORE)
        for j, rank in enumerate((16, 49, 196))
        for one in option(name, rank, 0.9 / (1 + i + 3 * j), 1e-3 * (1 + j) ** 2 * (1 + i / 9))
    ]
    assert_readable(drawn(crowd), POINT_SIZE)


def test_nothing_to_compare_is_said_plainly(tmp_path: Path) -> None:
    assert plugins.load("reports", "pareto") is pareto
    with pytest.raises(ValueError, match="no records"):
        pareto.render([], tmp_path)
    with pytest.raises(ValueError, match="the records hold latency; pareto takes"):
        pareto.render(timed(case(), 1e-3), tmp_path)
