"""The roofline figure and the share of the peak: where the marks stand, and what is ignored.

Mutants seen red: the mean over the processes for the median, bytes inferred whatever the bound, an
infinite fraction accepted, the roof of memory too high, the bar of exponentials at the mark and
outside the panel, both modes in one panel, the share of the peak without its note or of the matrix
product alone.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from drawing import assert_readable, marks, texts
from synthetic_records import LENGTHS, MODES, case, reached, record, timed

from softbench import plugins
from softbench.case import Record
from softbench.reports import _roofs, roofline, table
from softbench.reports._figure import own_settings
from softbench.reports._groups import groups
from softbench.reports._labels import labels
from softbench.reports._points import points
from softbench.reports._style import CORE, POINT_SIZE

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def sweep(attention: str = "soft", mode: Any = "forward", **changes: Any) -> list[Record]:
    """The FLOPs and bytes grow alike, the seconds a little faster."""
    made = []
    for n in LENGTHS[:5]:
        flops, seconds = n * 1e6, n**1.1 * 1e-5
        told = reached(flops, seconds, n * 1e4) | changes
        made += timed(case(attention, n, mode=mode), seconds, **told)
    return made


def drawn(records: list[Record]) -> Figure:
    (group,) = groups(records)
    with own_settings():
        return _roofs.draw(roofline.placed(group), labels(group.series), ["a note"])


def test_a_mark_stands_at_its_intensity_and_the_rate_it_attained() -> None:
    told = reached(1e9, 0.05, 1e7)
    (axes,) = drawn(timed(case(), 0.05, spread=[1.0], **told)).axes
    ((across, up),) = marks(axes, CORE["soft"].marker)
    assert across == pytest.approx(1e9 / 1e7)
    assert up == pytest.approx(1e9 / 0.05)


def test_the_roofs_are_those_measured_and_meet_at_the_ridge() -> None:
    figure = drawn([*sweep(), *sweep(mode=MODES[1])])
    assert [axes.get_title() for axes in figure.axes] == ["forward", "forward + backward"]
    for axes in figure.axes:
        (roof,) = [line for line in axes.get_lines() if line.get_color() == _roofs.ROOF]
        (x0, y0), ridge, (_, y2) = np.asarray(roof.get_data(), dtype=float).T.tolist()
        assert y0 == pytest.approx(x0 * 1e10)
        assert ridge == pytest.approx([10, 1e11])
        assert y2 == pytest.approx(1e11)
        assert len(marks(axes, CORE["soft"].marker)) == 5
        assert {text.get_text() for text in axes.texts} >= {"GEMM 100 GFLOP/s", "memory 10.0 GB/s"}


def test_a_bound_by_exponentials_is_a_bar_over_its_mark() -> None:
    told = reached(1e9, 0.05, 1e7, "exponential")
    figure = drawn(timed(case(), 0.05, spread=[1.0], **told))
    ((across, up),) = marks(figure.axes[0], "_")
    assert [across, up] == pytest.approx([100, 5e10])
    assert "bound by exponentials" in texts(figure)
    high = reached(1e9, 0.05, 1e7, "exponential")
    high["roofline"]["least_seconds"] = 1e-5
    (axes,) = drawn(timed(case(), 0.05, spread=[1.0], **high)).axes
    assert axes.get_ylim()[1] > 1e14
    assert "bound by exponentials" not in texts(drawn(sweep()))


def test_the_fractions_are_medians_over_the_processes(tmp_path: Path) -> None:
    records = []
    for repeat, fraction in enumerate((0.2, 0.9, 0.5)):
        told = reached(1e9, 0.05, 1e7)
        told["roofline"]["fraction"] = fraction
        records.append(record(case(), "latency", [0.05] * 3, repeat=repeat, **told))
    *_, long = roofline.render(records, tmp_path)
    with long.open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert float(row["fraction"]) == 0.5
    assert (row["bound"], float(row["gemm"])) == ("gemm", 1e11)
    assert row["record_ids"].split() == [one.id for one in records]
    markdown = table.render(records, tmp_path)[0].read_text("utf-8")
    assert "| Latency (ms) | Of peak |" in markdown
    assert "| 50 % |" in markdown
    assert "Of peak: the least time" in markdown


def test_the_share_of_the_peak_has_no_column_where_nothing_tells_it(tmp_path: Path) -> None:
    assert "peak" not in table.render(timed(case(), 1e-3), tmp_path)[0].read_text("utf-8")


@pytest.mark.parametrize(
    "broken",
    [
        {"roofline": None},
        {"roofline": {"gemm": 1e11}},
        {"roofline": reached(1.0, 1.0, 1.0)["roofline"] | {"gemm": "fast"}},
        {"roofline": reached(1.0, 1.0, 1.0)["roofline"] | {"fraction": math.inf}},
        {"flops": None},
    ],
)
def test_what_is_no_roofline_is_none(broken: dict[str, Any]) -> None:
    whole = timed(case(), 1e-3)[0]
    detail = reached(1e9, 1e-3, 1e6) | broken
    (point,) = points([whole.model_copy(update={"detail": detail})])
    assert point.remarks.roofline is None


def test_bytes_follow_from_the_bound_where_moving_them_is_the_bound() -> None:
    def intensity(bound: str) -> float | None:
        told = reached(1e9, 0.5, 1e8, bound)
        del told["roofline"]["compulsory_bytes"]
        (point,) = points(timed(case(), 0.5, **told))
        assert point.remarks.roofline is not None
        return point.remarks.roofline.intensity

    assert intensity("stream") == pytest.approx(10)
    assert intensity("gemm") is None


def test_nothing_overlaps() -> None:
    assert_readable(drawn([r for n in CORE for m in MODES for r in sweep(n, m)]), POINT_SIZE)


def test_it_is_a_plugin_and_says_what_it_lacks(tmp_path: Path) -> None:
    assert plugins.load("reports", "roofline") is roofline
    names = [path.name for path in roofline.render(sweep(), tmp_path)]
    assert names == [f"roofline.{kind}" for kind in ("pdf", "svg", "png", "csv")]
    with pytest.raises(ValueError, match="no records"):
        roofline.render([], tmp_path)
    with pytest.raises(ValueError, match="no latency record holds the machine's measured rates"):
        roofline.render(timed(case(), 1e-3), tmp_path)
