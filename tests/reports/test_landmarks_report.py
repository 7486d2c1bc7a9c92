"""The figure of errors against costs: which marks stand where, and that each can be traced.

Mutants seen red: the rank left in the curve's name, ranks sorted as text, a skipped cost drawn as
measured, softmax drawn as a line of errors, the untrained not called so, lengths and modes put into
one figure, numbers laid over marks.
"""

from __future__ import annotations

import csv
import itertools
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from synthetic_records import case, counted, record, timed

from softbench import plugins
from softbench.case import Record
from softbench.reports import _tradeoff, landmarks
from softbench.reports._figure import own_settings
from softbench.reports._groups import groups
from softbench.reports._style import CORE, POINT_SIZE
from softbench.reports._tags import Box, place

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RANK = {
    "soft": "num_landmarks",
    "soft_norm": "num_landmarks",
    "linformer": "projection_length",
    "performer": "num_features",
    "nystromformer": "num_landmarks",
}
RANKS = (16, 49, 100, 196)
ROOT = Path(__file__).parents[2]


def approximation(
    attention: str, rank: int, error: float | None = 0.5, /, **changes: Any
) -> list[Record]:
    """One case: its error against its own dense attention (None: it has none) and its costs."""
    params = {RANK.get(attention, "order"): rank, **changes.pop("params", {})}
    of = case(attention, 784, params=params, inputs="smooth", **changes)
    own = record(
        of,
        "approximation_error",
        [error or 0],
        status="ok" if error else "unsupported",
        reason=None if error else "it has no dense attention",
    )
    return [
        own,
        record(of, "softmax_error", [0.7]),
        *timed(of, 1e-5 * rank),
        *counted(of, "flops", rank * 1000),
        *counted(of, "peak_memory", rank * 2**12),
    ]


def softmax(backend: str = "eager") -> list[Record]:
    of = case("softmax", 784, backend=backend, inputs="smooth")
    rounding = record(of, "softmax_error", [1e-7])
    costs = [*timed(of, 5e-3), *counted(of, "flops", 10**6), *counted(of, "peak_memory", 2**21)]
    return [rounding, *costs]


def sweep() -> list[Record]:
    made = [*softmax(), *softmax("sdpa")]
    for (name, rank), scale in zip(itertools.product(RANK, RANKS), itertools.count(1)):
        made += approximation(name, rank, None if name == "soft_norm" else scale / rank)
    return made


def drawn(records: list[Record]) -> Figure:
    (group,) = groups(records, ("seq_len", "mode"))
    kinds, notes = landmarks.kinds_of(group), landmarks.notes(group, {})
    with own_settings():
        return _tradeoff.draw(*landmarks.stops_of(group), kinds, notes)


def marks(axes: Axes, marker: object) -> list[tuple[float, float]]:
    lines = [line for line in axes.get_lines() if line.get_marker() == marker]
    places = [np.asarray(line.get_data(), dtype=float).T.tolist() for line in lines]
    return [(x, y) for some in places for x, y in some]


def texts(figure: Figure) -> str:
    found = [text.get_text() for text in figure.texts]
    found += [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    return " ".join(" ".join(found).split())


def test_it_is_a_plugin_and_writes_four_files(tmp_path: Path) -> None:
    assert plugins.load("reports", "landmarks") is landmarks
    paths = landmarks.render(sweep(), tmp_path / "new")
    assert [path.name for path in paths] == [f"landmarks.{k}" for k in ("pdf", "svg", "png", "csv")]
    assert all(path.stat().st_size > 1000 for path in paths)
    known = {one.id: one for one in sweep()}
    with paths[-1].open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5 * 4 * 5 + 2 * 4
    for row in rows:
        sources = [known[id_] for id_ in row["record_ids"].split()]
        assert {(s.case.id, s.metric) for s in sources} == {(row["case_id"], row["quantity"])}


def test_rows_are_errors_and_columns_costs() -> None:
    figure = drawn(sweep())
    assert [axes.get_xlabel() for axes in figure.axes] == [
        *("", "", ""),
        *("Latency", "Peak memory", "FLOPs"),
    ]
    assert "Approximation error" in texts(figure)
    assert "Error against softmax" in texts(figure)


def test_a_line_runs_along_the_rank_in_order() -> None:
    shuffled = [one for rank in (100, 16, 196, 49) for one in approximation("soft", rank, 9 / rank)]
    _, _, flops, *_ = drawn(shuffled).axes
    assert marks(flops, CORE["soft"].marker) == [(rank * 1000, 9 / rank) for rank in RANKS]
    assert [text.get_text() for text in flops.texts] == ["16", "196"]


def test_a_mechanism_without_dense_attention_stands_beside_softmax_only_and_is_named() -> None:
    figure = drawn(sweep())
    own, against_softmax = figure.axes[0], figure.axes[3]
    assert marks(own, CORE["soft_norm"].marker) == []
    assert len(marks(against_softmax, CORE["soft_norm"].marker)) == len(RANKS)
    assert "SOFT++ at N = 784 (it has no dense attention)" in texts(figure)


def test_softmax_is_an_upright_line_at_its_cost() -> None:
    flops = drawn(sweep()).axes[2]
    lines = [np.asarray(line.get_data(), dtype=float).tolist() for line in flops.get_lines()]
    assert lines.count([[1e6, 1e6], [0, 1]]) == 2
    assert marks(flops, CORE["softmax"].marker) == []
    assert all(axes.get_ylim()[0] > 1e-3 for axes in drawn(sweep()).axes)


def test_variants_are_lines_of_their_own() -> None:
    made = [
        one
        for inverse in ("newton", "cholesky")
        for rank in RANKS
        for one in approximation("soft", rank, 1 / rank, params={"inverse": inverse})
    ]
    said = texts(drawn(made))
    assert "SOFT, newton inverse" in said
    assert "SOFT, cholesky inverse" in said
    assert "M = " not in said.split("cpu")[0]


def test_what_is_random_is_said_to_be() -> None:
    said = texts(drawn(sweep()))
    assert "Linformer's projections are random, untrained." in said
    assert "Performer's features are one random draw." in said
    assert "random" not in texts(drawn(approximation("soft", 49)))


def test_the_caption_says_setting_and_ranks() -> None:
    said = texts(drawn(sweep()))
    assert "B = 1, H = 8, D = 64, N = 784, forward, smooth inputs." in said
    assert "16, 49, 100, 196" in said
    assert "3 fresh processes" in said


def test_a_cost_that_was_not_measured_stands_at_its_prediction() -> None:
    of = case("soft", 784, params={"num_landmarks": 64}, inputs="smooth")
    lost = record(of, status="skipped", reason="budget", predicted=0.25)
    records = [*approximation("soft", 49), record(of, "approximation_error", [0.3]), lost]
    latency = drawn(records).axes[0]
    assert marks(latency, "o") == [(0.25, 0.3)]
    assert len(marks(latency, CORE["soft"].marker)) == 1
    assert "skipped, at its predicted value" in texts(drawn(records))


def test_a_mechanism_of_ones_own_runs_along_what_it_varies() -> None:
    made = [one for order in (10, 2) for one in approximation("mine", order, 1 / order)]
    _, _, flops, *_ = drawn(made).axes
    assert sorted(text.get_text() for text in flops.texts) == ["10", "2"]
    (line,) = [one for one in flops.get_lines() if len(np.asarray(one.get_xdata())) == 2]
    assert list(np.asarray(line.get_xdata())) == [2000, 10000]


def test_lengths_and_modes_get_a_figure_each(tmp_path: Path) -> None:
    records = approximation("soft", 49) + approximation("soft", 49, mode="forward_backward")
    names = {path.name for path in landmarks.render(records, tmp_path)}
    assert {"landmarks_forward.pdf", "landmarks_forward_backward.csv"} < names


def test_no_text_is_small_or_lies_over_other_text() -> None:
    from matplotlib.text import Text

    figure = drawn(sweep())
    figure.draw_without_rendering()
    found = [t for t in figure.findobj(Text) if isinstance(t, Text) and t.get_text().strip()]
    shown = [text for text in found if text.get_visible()]
    assert min(float(text.get_fontsize()) for text in shown) >= POINT_SIZE
    boxes = [(text.get_text(), text.get_window_extent()) for text in shown]
    for (one, box), (other, second) in itertools.combinations(boxes, 2):
        assert not box.overlaps(second), (one, other)
    for text, box in boxes:
        assert box.x0 >= 0, text
        assert box.x1 <= figure.bbox.x1, text


def test_numbers_cover_no_mark_and_no_number() -> None:
    marks = [(50.0 + 6 * i, 50.0 + 3 * (i % 3)) for i in range(9)]
    placed = place([(at, "196") for at in marks], marks, (120.0, 100.0))
    boxes = [Box(x, y, x + 13, y + 5) for (x, y), _ in placed]
    assert 0 < len(boxes) < 9
    assert not any(a.meets(b) for a, b in itertools.combinations(boxes, 2))
    assert not any(box.meets(Box(x - 2, y - 2, x + 2, y + 2)) for box in boxes for x, y in marks)
    assert all(box.left >= 0 and box.right <= 120 for box in boxes)


def test_zero_error_has_no_place_on_a_logarithmic_axis() -> None:
    of = case("soft", 784, params={"num_landmarks": 784}, inputs="smooth")
    exact = [record(of, "approximation_error", [0.0]), *timed(of, 1e-3)]
    (axes,) = drawn(
        [
            *approximation("soft", 49)[:1],
            *timed(case("soft", 784, inputs="smooth", params={"num_landmarks": 49}), 1e-3),
            *exact,
        ]
    ).axes
    assert all(math.isfinite(y) and y > 0 for _, y in marks(axes, CORE["soft"].marker))


def test_nothing_to_plot_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no records"):
        landmarks.render([], tmp_path)
    with pytest.raises(ValueError, match="the records hold latency; landmarks shows"):
        landmarks.render(timed(case(), 1e-3), tmp_path)
