"""The ribbon of a fitted law, and the bars that say from where on a mechanism is faster.

Mutants seen red: launch-bound times in the law, a ribbon of no width, of any width, of four lengths
and under counts; the slowest softmax as rival; a predicted softmax passed over for a slower
measured one; the caret left out; a seventh bar; a bar for what loses; no room for the bars; a bar's
mark at its end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from drawing import assert_readable, drawn, marks, texts
from synthetic_records import LENGTHS, MODES, case, counted, record, timed

from softbench.case import Record
from softbench.reports._bars import bars
from softbench.reports._points import points
from softbench.reports._style import CORE, POINT_SIZE

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def sweep(
    attention: str,
    seconds: Callable[[int], float],
    lengths: tuple[int, ...] = LENGTHS[:6],
    **changes: Any,
) -> list[Record]:
    return [one for n in lengths for one in timed(case(attention, n, **changes), seconds(n))]


def linear(n: int) -> float:
    return 1e-3 + n * 1e-6


def lying(axes: Axes, colour: str) -> list[tuple[float, float, float]]:
    """The level lines in a colour at the panel's foot: left, right, height in the panel."""
    found = []
    for line in axes.get_lines():
        xs, ys = np.asarray(line.get_data(), dtype=float)
        if line.get_color() == colour and len(xs) == 2 and ys[0] == ys[1] and 0 < ys[0] < 0.3:
            found.append((float(xs[0]), float(xs[1]), float(ys[0])))
    return found


def fills(axes: Axes) -> list[np.ndarray[Any, Any]]:
    from matplotlib.collections import PolyCollection

    polygons = [one for one in axes.collections if isinstance(one, PolyCollection)]
    return [np.asarray(path.vertices) for one in polygons for path in one.get_paths()]


def test_the_ribbon_runs_from_the_first_length_to_the_last_and_holds_the_law() -> None:
    records = sweep("soft", linear)
    records += [r for n in LENGTHS[:6] for r in counted(case("soft", n), "flops", n)]
    latency, flops = drawn(records).axes
    (ribbon,) = fills(latency)
    assert (ribbon[:, 0].min(), ribbon[:, 0].max()) == (LENGTHS[0], LENGTHS[5])
    for n in (LENGTHS[0], LENGTHS[5]):
        edge = ribbon[np.isclose(ribbon[:, 0], n), 1]
        assert edge.min() < linear(n) < edge.max() < linear(n) * 1.3
    assert fills(flops) == []
    assert "law t0 + c·N^α, 95 %" in texts(drawn(records))


def test_three_lengths_make_no_law_and_launch_bound_ones_are_not_in_it() -> None:
    few = sweep("soft", linear, LENGTHS[:3])
    figure = drawn(few)
    assert fills(figure.axes[0]) == []
    assert "law" not in texts(figure)
    bound = timed(case("soft", 196), 1e-1, launch_bound=True)
    rest = sweep("soft", linear, LENGTHS[1:6])
    (ribbon,) = fills(drawn([*bound, *rest]).axes[0])
    assert ribbon[:, 0].min() == LENGTHS[1]
    assert ribbon[:, 1].max() < 1e-1


def test_a_ribbon_that_says_nothing_is_not_drawn_and_that_is_said() -> None:
    wild = sweep("soft", lambda n: 1e-6 * (90 if n in LENGTHS[1::2] else 1) * n, LENGTHS[:5])
    tame = sweep("performer", linear)
    figure = drawn([*wild, *tame])
    assert len(fills(figure.axes[0])) == 1
    assert "No ribbon for a law of fewer than 5 lengths" in texts(figure)
    assert fills(drawn(sweep("soft", linear, LENGTHS[:4])).axes[0]) == []
    assert "No ribbon" not in texts(drawn(tame)) + texts(drawn(wild))


def test_a_bar_lies_where_the_curves_cross_with_its_interval() -> None:
    """A constant and n times 4 µs cross at 250 tokens."""
    records = [*sweep("soft", lambda n: 1e-3), *sweep("softmax", lambda n: n * 4e-6)]
    figure = drawn(records)
    colour = CORE["soft"].colour
    ((left, right, height),) = lying(figure.axes[0], colour)
    assert 196 < left < 250 < right < 400
    at = [x for x, y in marks(figure.axes[0], CORE["soft"].marker) if y == height]
    assert at == [pytest.approx(250, rel=1e-3)]
    assert "overtakes the best softmax, 95 %" in texts(figure)
    assert "Bars at the foot" in texts(figure)
    assert "best softmax" not in texts(drawn(sweep("soft", linear)))


def test_the_rival_is_the_best_softmax_at_each_length() -> None:
    def crossing(*softmax: list[Record]) -> float | None:
        (bar,) = bars(points([*sweep("soft", lambda n: 1e-3), *(r for s in softmax for r in s)]))
        return bar.at

    eager = sweep("softmax", lambda n: n * 8e-6)
    fused = sweep("softmax", lambda n: n * 4e-6, backend="sdpa")
    assert crossing(eager, fused) == pytest.approx(250, rel=1e-3)
    assert crossing(fused) == crossing(eager, fused)


def test_where_the_best_softmax_was_only_predicted_nothing_is_compared() -> None:
    soft, eager = sweep("soft", lambda n: 1e-3), sweep("softmax", lambda n: n * 4e-6)
    lost = [
        record(case("softmax", n, backend="sdpa"), status="skipped", reason="b", predicted=1e-9)
        for n in LENGTHS[1:]
    ]
    fused = timed(case("softmax", 196, backend="sdpa"), 7e-4)
    assert bars(points([*soft, *eager, *fused, *lost])) == []


def test_a_caret_says_that_it_is_faster_from_the_first_length_on() -> None:
    records = [*sweep("soft", lambda n: 1e-5), *sweep("softmax", lambda n: n * 4e-6)]
    (bar,) = bars(points(records))
    assert (bar.at, bar.left, bar.right) == (None, 196, 196)
    assert bar.open_ends == (196, None)
    axes = drawn(records).axes[0]
    assert [x < 196 for x, _ in marks(axes, 4)] == [True]
    assert marks(axes, 5) == []


def test_what_is_slower_at_the_end_has_no_bar_and_too_many_have_none() -> None:
    softmax = sweep("softmax", lambda n: n * 4e-6)
    assert bars(points([*softmax, *sweep("soft", lambda n: n * 4e-5)])) == []
    crowd = [r for i in range(6) for r in sweep(f"own{i}", lambda n: 1e-3)]
    assert len(bars(points([*softmax, *crowd]))) == 6
    assert bars(points([*softmax, *crowd, *sweep("own6", lambda n: 1e-3)])) == []


def test_the_bars_lie_below_everything_drawn_and_cover_no_text() -> None:
    records = [
        one
        for mode in MODES
        for name in CORE
        for one in sweep(name, lambda n: n * 4e-6 if name == "softmax" else 1e-3, mode=mode)  # noqa: B023
    ]
    figure = drawn(records)
    for axes in figure.axes:
        low, high = (float(np.log(y)) for y in axes.get_ylim())
        lowest = (float(np.log(196 * 4e-6 * 0.95)) - low) / (high - low)
        tops = [height for look in CORE.values() for *_, height in lying(axes, look.colour)]
        assert len(tops) == 5
        assert max(tops) + 0.02 < lowest
    assert_readable(figure, POINT_SIZE)
