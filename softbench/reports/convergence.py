"""How well each solver inverts the landmark matrix, against its iterations, FLOPs and latency.

The paper's metric of convergence (Lu et al., NeurIPS 2021, arXiv 2110.11945, Figure 4b) stands
beside the true error of the inverse, which it hides, and beside the error of the attention's output
that follows. One figure for each inputs, length, number of landmarks and mode; every value is also
a row of the CSV beside it, with the ids of the records it came from.

Differences from the paper's Figure 4b:
- Iterations are drawn against FLOPs too: an iteration costs each solver another amount.
- Solvers without iterations are shown: they say what all that iterating could arrive at.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from softbench.case import Record
from softbench.reports import _curves, _iterations, _longform, _machine, _notes, _sheet
from softbench.reports._curves import Stop
from softbench.reports._figure import own_settings
from softbench.reports._groups import Group, groups
from softbench.reports._iterations import Against
from softbench.reports._labels import solver_labels
from softbench.reports._points import Point
from softbench.reports._units import number

ERRORS = ("inverse_residual", "inverse_error", "approximation_error")
INVERSE = ERRORS[:2]
SPLIT = ("seq_len", "num_landmarks", "mode")


def render(records: Sequence[Record], folder: Path) -> list[Path]:
    """Write convergence[_suffix].pdf, .svg, .png and .csv into `folder`; returns their paths.

    Raises ValueError if no case has an inverse residual or an inverse error.
    """
    inverting = {r.case.id for r in records if r.metric in INVERSE and r.status == "ok"}
    kept = [record for record in records if record.case.id in inverting]
    if records and not kept:
        held = ", ".join(sorted({record.metric for record in records}))
        raise ValueError(
            f"nothing to plot: the records hold {held}; convergence shows {' and '.join(INVERSE)}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    return [path for group in groups(kept, SPLIT) for path in _render(group, folder)]


def errors_of(group: Group) -> list[str]:
    """The errors that get a column: those that were measured."""
    measured = {point.quantity for point in group.points if point.estimate}
    return [error for error in ERRORS if error in measured]


def rows_of(group: Group, found: Sequence[Stop]) -> list[Against]:
    """What the errors are drawn against: iterations, the solver's FLOPs, the whole call's time."""
    iterations = {
        stop.case_id: float(stop.at)
        for stop in found
        if stop.at is not None and not _iterations.is_direct(stop.curve)
    }
    seconds = {stop.case_id: time for stop in found if (time := stop.height("latency"))}
    rows = [
        Against("iterations", iterations),
        Against("FLOPs of the solver", solver_flops(group.records), "FLOP"),
        Against("latency of the whole call", seconds, "s", "latency"),
    ]
    return [row for row in rows if row.places]


def solver_flops(records: Sequence[Record]) -> dict[str, float]:
    """The FLOPs of the term `solver` by case id, of every case whose FLOPs were counted."""
    return {
        record.case.id: float(terms["solver"])
        for record in records
        if record.metric == "flops" and record.status == "ok"
        if (terms := record.detail.get("terms", {})).get("solver")
    }


def notes(group: Group, found: Sequence[Stop], facts: dict[str, Any]) -> list[str]:
    """The paragraphs at the foot: setting, what line and band are, what each error is."""
    names = solver_labels(list(_curves.by_curve(found)))
    shown = [p for p in _curves.own_points(found) if p.quantity in (*ERRORS, "latency")]
    caption = [
        _notes.setting(group, facts),
        "Inputs: N(0, 1)." if group.fixed["inputs"] == "normal" else "",
        _conditions(group.records),
        "Lines: median over the matrices (one a head and batch element), bands: least to greatest;"
        " level lines: solvers without iterations.",
        "Residual: ‖RXR\u00a0−\u00a0R‖/‖R‖, the paper's metric; inverse error: "
        "‖X\u00a0−\u00a0R⁻¹‖/‖R⁻¹‖ against"
        " float64; approximation error: of the output, against dense attention, one value a call.",
        "FLOPs of decompositions (SVD, spectral form) are nominal.",
        _latency(shown),
        _notes.missing(shown),
    ]
    return [" ".join(filter(None, caption)), _notes.unsupported(shown, names)]


def _latency(shown: Sequence[Point]) -> str:
    timed = [point for point in shown if point.quantity == "latency" and point.estimate]
    return f"Latency: {_notes.method(timed)}".replace(": Values:", ":") if timed else ""


def _conditions(records: Sequence[Record]) -> str:
    """The range of the condition numbers of all that was inverted, if the records tell."""
    told = [
        float(value)
        for record in records
        if record.metric in INVERSE
        for value in record.detail.get("condition_numbers", [])
    ]
    if not told:
        return ""
    least, most = (number(float(f"{value:.3g}")) for value in (min(told), max(told)))
    return f"Condition numbers of the inverted matrices R: {least} to {most}."


def _render(group: Group, folder: Path) -> list[Path]:
    stem = folder / f"convergence{group.suffix}"
    facts = _machine.facts(folder, group)
    found = _curves.stops(group.points, _curves.ITERATIONS)
    errors = errors_of(group)
    with own_settings():
        rows = rows_of(group, found)
        figure = _iterations.draw(found, rows, errors, notes(group, found, facts))
        paths = _sheet.write(figure, stem)
    solving = solver_flops(group.records)
    table = [
        {**row, "solver_flops": solving.get(str(row["case_id"]))}
        for row in _longform.rows(group)
        if row["quantity"] in (*errors, "latency")
    ]
    return [*paths, _longform.write(stem.with_name(f"{stem.name}.csv"), table)]
