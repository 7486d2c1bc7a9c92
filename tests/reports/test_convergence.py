"""The figure of convergence: lines of iterations, levels of direct solvers, bands over matrices.

Mutants seen red: the iterations left in the curve's name, the mean of the matrices for their
median, the band over half of them, direct solvers drawn at one iteration, the call's FLOPs for the
solver's, inputs or landmarks lumped together, the condition numbers of another figure.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from synthetic_records import case, record, timed

from softbench import plugins
from softbench.case import Case, Record
from softbench.reports import _curves, _iterations, convergence
from softbench.reports._figure import own_settings
from softbench.reports._groups import Group, groups
from softbench.reports._style import POINT_SIZE, SOLVERS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ITERATIONS = (1, 2, 5, 10, 20, 30)
ITERATIVE = ("newton", "newton_spd", "hyperpower", "spectral_newton")
ERRORS = ("Inverse residual", "Inverse error", "Approximation error")


def of(inverse: str, iterations: int = 20, num_landmarks: int = 49, **changes: Any) -> Case:
    params = {
        "inverse": inverse,
        "num_newton_iters": iterations,
        "num_landmarks": num_landmarks,
        "ridge": 0.01,
    }
    return case("soft", 784, params=params, **changes)


def found(of: Case, errors: Sequence[float], *, condition: float = 100.0) -> list[Record]:
    """What a suite records of one case: an error a matrix, counts, and times."""
    solver = of.params["num_newton_iters"] * 1000
    conditions = [condition] * len(errors)
    terms = {"products": 9_000_000, "solver": solver}
    return [
        record(of, "inverse_residual", [e / 10 for e in errors], condition_numbers=conditions),
        record(of, "inverse_error", errors, condition_numbers=conditions),
        record(of, "approximation_error", [0.1 + errors[0]]),
        record(of, "flops", [sum(terms.values())], terms=terms),
        *timed(of, 1e-3 + solver * 1e-9),
    ]


def sweep(**changes: Any) -> list[Record]:
    made = found(of("cholesky", **changes), [1e-7, 2e-7, 9e-7])
    made += found(of("svd", **changes), [1e-6, 2e-6, 3e-6])
    for (inverse, steps), rate in zip(
        itertools.product(ITERATIVE, ITERATIONS), itertools.cycle((0.4, 0.5)), strict=False
    ):
        error = max(1e-6, rate**steps)
        made += found(of(inverse, steps, **changes), [error, 2 * error, 9 * error])
    return made


def drawn(records: list[Record]) -> Figure:
    (group,) = groups(records, convergence.SPLIT)
    return figure_of(group)


def figure_of(group: Group) -> Figure:
    stops = _curves.stops(group.points, _curves.ITERATIONS)
    rows, errors = convergence.rows_of(group, stops), convergence.errors_of(group)
    with own_settings():
        return _iterations.draw(stops, rows, errors, convergence.notes(group, stops, {}))


def marks(axes: Axes, inverse: str) -> list[tuple[float, float]]:
    marker = SOLVERS[inverse].marker
    lines = [line for line in axes.get_lines() if line.get_marker() == marker]
    places = [np.asarray(line.get_data(), dtype=float).T.tolist() for line in lines]
    return [(x, y) for some in places for x, y in some]


def texts(figure: Figure) -> str:
    said = [text.get_text() for text in figure.texts]
    said += [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    return " ".join(" ".join(said).split())


def test_it_is_a_plugin_and_writes_four_files(tmp_path: Path) -> None:
    assert plugins.load("reports", "convergence") is convergence
    records = sweep()
    paths = convergence.render(records, tmp_path / "new")
    assert [p.name for p in paths] == [f"convergence.{k}" for k in ("pdf", "svg", "png", "csv")]
    assert all(path.stat().st_size > 1000 for path in paths)
    known = {one.id: one for one in records}
    with paths[-1].open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == (4 * 6 + 2) * 4
    for row in rows:
        sources = [known[id_] for id_ in row["record_ids"].split()]
        assert {(s.case.id, s.metric) for s in sources} == {(row["case_id"], row["quantity"])}
        assert float(row["solver_flops"]) == sources[0].case.params["num_newton_iters"] * 1000


def test_columns_are_errors_and_rows_what_they_cost() -> None:
    axes = drawn(sweep()).axes
    assert [one.get_title() for one in axes] == [*ERRORS, *[""] * 6]
    assert [one.get_xlabel() for one in axes[::3]] == [
        *("iterations", "FLOPs of the solver", "latency of the whole call"),
    ]
    untimed = [one for one in sweep() if one.metric not in ("latency", "approximation_error")]
    assert len(drawn(untimed).axes) == 2 * 2


def test_a_line_is_the_median_and_its_band_holds_every_matrix() -> None:
    errors = {1: [0.5, 0.9, 0.6], 20: [1e-3, 1e-5, 1e-1], 5: [0.2, 0.3, 0.4]}
    records = [one for steps, some in errors.items() for one in found(of("newton", steps), some)]
    axes = drawn(records).axes[1]
    assert marks(axes, "newton") == [(1, 0.6), (5, 0.3), (20, 1e-3)]
    (band,) = axes.collections
    heights = {x: set() for x in errors}  # type: dict[float, set[float]]
    for x, y in band.get_paths()[0].vertices.tolist():  # type: ignore[union-attr]
        heights[x].add(y)
    assert {x: (min(ys), max(ys)) for x, ys in heights.items()} == {
        steps: (min(some), max(some)) for steps, some in errors.items()
    }


def test_a_direct_solver_is_level_over_the_iterations_and_a_mark_over_flops() -> None:
    axes = drawn(sweep()).axes
    assert marks(axes[1], "cholesky") == []
    levels = [np.asarray(line.get_data(), dtype=float).tolist() for line in axes[1].get_lines()]
    assert [[0, 1], [2e-7, 2e-7]] in levels
    assert marks(axes[4], "cholesky") == [(20_000, 2e-7)]


def test_the_flops_are_the_solvers_alone() -> None:
    flops = drawn(sweep()).axes[4]
    assert [x for x, _ in marks(flops, "newton")] == [1000 * steps for steps in ITERATIONS]
    assert flops.get_xlim()[1] < 9_000_000


def test_the_papers_iterations_are_marked_where_they_were_reached() -> None:
    def uprights(records: list[Record]) -> list[float]:
        lines = drawn(records).axes[0].get_lines()
        ends = [np.asarray(line.get_data(), dtype=float).tolist() for line in lines]
        return [xs[0] for xs, ys in ends if ys == [0, 1]]

    assert uprights(sweep()) == [20]
    assert uprights([*found(of("newton", 1), [0.5]), *found(of("newton", 5), [0.1])]) == []


def test_inputs_and_landmarks_get_a_figure_each_with_their_conditioning(tmp_path: Path) -> None:
    records = found(of("newton"), [0.1], condition=12.0)
    records += found(of("newton", inputs="smooth"), [0.1], condition=3456.0)
    records += found(of("newton", num_landmarks=196), [0.1], condition=77.0)
    names = {path.name for path in convergence.render(records, tmp_path)}
    assert {f"convergence_{i}.pdf" for i in ("normal_M49", "normal_M196", "smooth_M49")} < names
    captions = [texts(figure_of(group)) for group in groups(records, convergence.SPLIT)]
    told = {c: next(t for t in captions if f"{c} to {c}" in t) for c in ("12.0", "3,460", "77.0")}
    assert "Inputs: N(0, 1)." in told["12.0"]
    assert "smooth inputs" in told["3,460"]
    assert "M = 196" in told["77.0"]


def test_the_caption_says_what_lines_and_bands_are() -> None:
    said = texts(drawn(sweep()))
    for part in (
        "Lines: median over the matrices",
        "bands: least to greatest",
        "the paper's metric",
        "are nominal",
        "Latency: geometric mean of the medians of 3 fresh processes.",
        "B = 1, H = 8, D = 64, N = 784, M = 49, forward.",
    ):
        assert part in said


def test_solvers_are_called_by_their_names_and_look_different() -> None:
    figure = drawn(sweep())
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(set(names)) == len(names) == 8
    assert {"Newton (the paper's)", "Cholesky (direct)", "spectral form of Newton"} < set(names)


def test_what_could_not_be_had_is_said() -> None:
    singular = of("newton", 5)
    records = [
        *found(of("newton"), [0.1]),
        record(singular, "inverse_residual", [0.5]),
        record(singular, "inverse_error", status="unsupported", reason="κ reaches 1e13"),
        record(of("newton", 1), "inverse_residual", [0.5]),
        record(of("newton", 1), "inverse_error", status="error", reason="NaN"),
    ]
    said = texts(drawn(records))
    assert "Not supported: Newton (the paper's) at N = 784 (κ reaches 1e13)." in said
    assert "1 failed of 3 cells" in said


def test_an_exact_zero_breaks_nothing() -> None:
    records = [*found(of("newton", 1), [0.5, 0.4]), *found(of("newton", 2), [0.0, 0.0])]
    residual = drawn(records).axes[0]
    assert marks(residual, "newton") == [(1, 0.045)]


def test_no_text_is_small_or_lies_over_other_text() -> None:
    from matplotlib.text import Text

    figure = drawn(sweep())
    figure.draw_without_rendering()
    found = [t for t in figure.findobj(Text) if isinstance(t, Text) and t.get_text().strip()]
    texts = [text for text in found if text.get_visible()]
    assert min(float(text.get_fontsize()) for text in texts) >= POINT_SIZE
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts]
    for (one, box), (other, second) in itertools.combinations(boxes, 2):
        assert not box.overlaps(second), (one, other)
    assert all(0 <= box.x0 < box.x1 <= figure.bbox.x1 for _, box in boxes)


def test_nothing_to_plot_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no records"):
        convergence.render([], tmp_path)
    with pytest.raises(ValueError, match="hold latency; convergence shows inverse_residual and"):
        convergence.render(timed(case(), 1e-3), tmp_path)
