"""How each mechanism's latency, memory and FLOPs grow with the tokens, as Markdown, LaTeX and CSV.

The law is t0 + c·N^α, fitted to what was measured: its exponent and floor with intervals, the local
exponents, and whether that is linear or quadratic, where it can be told at all. Nothing is said
outside the measured lengths. One table for each mode and setting; the CSV has all parameters, every
local exponent, the reason of each verdict, and the ids of the records it came from.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from softbench.case import Mode, Record
from softbench.reports import _laws, _machine, _notes, _tables
from softbench.reports._grid import Grid
from softbench.reports._groups import Group, groups
from softbench.reports._labels import MODE, labels, quantity_name
from softbench.reports._laws import Finding, finding
from softbench.reports._lines import lines
from softbench.reports.scaling import quantities
from softbench.statistics.local_exponents import LocalExponent
from softbench.statistics.power_law import Parameter, PowerLaw
from softbench.statistics.verdict import BANDS, FEWEST_LENGTHS

HEADING = (
    *("Quantity", "Mechanism", "Exponent α", "Floor t0", "Local exponents"),
    *("n", "Off the law", "Verdict"),
)
METHOD = (
    "Law: t0 + c·N^α, least squares on the log medians of the processes; 95 % profile-likelihood "
    "intervals from the variance between processes; what a process does to all its lengths alike "
    "widens those of floor and curve by a t interval of its own. Where the lengths lie further off "
    "the law than that (off the law: the farthest), intervals come from their scatter about it. "
    "Counts have no interval as long as they follow the law. Local exponents: the first step "
    "between neighbouring lengths, and the last. n: lengths × processes (the fewest at any length)."
)


def render(records: Sequence[Record], folder: Path) -> list[Path]:
    """Write fits.md, fits.tex and fits.csv into `folder`; returns their paths.

    Raises ValueError if no latency, peak memory or FLOPs were measured.
    """
    found = [part for group in groups(records) for part in _parts(group)]
    if not found:
        raise ValueError(
            "nothing to fit: the records hold no measured latency, peak_memory or flops, whose "
            "growth with the tokens fits shows"
        )
    sections = [_section(*part, folder) for part in found]
    rows = [row for group, _, every in found for row in _rows(group, every)]
    return _tables.write(folder, "fits", sections, rows)


def _parts(group: Group) -> list[tuple[Group, Mode, list[Finding]]]:
    """The findings of each mode, quantity by quantity."""
    order = quantities(group)
    parts = []
    for mode in group.modes:
        points = [p for p in group.points if p.mode == mode and p.quantity in order]
        every = [finding(line) for line in lines(points)]
        every.sort(key=lambda one: order.index(one.line.quantity))
        if every:
            parts.append((group, mode, every))
    return parts


def _section(group: Group, mode: Mode, every: Sequence[Finding], folder: Path) -> _tables.Section:
    names, facts = labels(group.series), _machine.facts(folder, group)
    rows = tuple(
        (quantity_name(one.line.quantity), names[one.line.series], one.cells) for one in every
    )
    fitted = [point for one in every for point in one.line.points]
    notes = [_notes.setting(group, facts), METHOD, _rule(every), _left_out(every)]
    notes.append(_notes.steadiness(fitted, facts))
    title = _tables.title(f"Growth with the tokens N, {MODE[mode]}", group)
    grid = Grid(HEADING, rows, "llrrrrrl")
    return _tables.Section(title, grid, notes, f"fits{group.suffix}_{mode}")


def _rule(every: Sequence[Finding]) -> str:
    """When a verdict is given, and what the letters beside the undetermined ones mean."""
    bands = " or ".join(f"{low:g} to {high:g} ({kind})" for kind, (low, high) in BANDS.items())
    letters = sorted({one.why for one in every if one.why})
    why = (
        f" Undetermined: {'; '.join(f'({w}) {_laws.WHY[w]}' for w in letters)}." if letters else ""
    )
    return (
        f"Verdict: the whole interval of α within {bands}, with {FEWEST_LENGTHS} lengths or "
        f"more, and also without the smallest.{why}"
    )


def _left_out(every: Sequence[Finding]) -> str:
    count = sum(len(one.line.left_out) for one in every)
    return f"{count} launch-bound values are in no fit." if count else ""


def _rows(group: Group, every: Sequence[Finding]) -> list[dict[str, object]]:
    """Every finding as a row of the CSV, with the ids of the records it came from."""
    names = labels(group.series)
    return [
        {
            "label": names[one.line.series],
            "params": one.line.series.params,
            "mode": one.line.mode,
            "quantity": one.line.quantity,
            "unit": one.line.unit,
            **_parameters(one.law),
            "lengths": " ".join(map(str, sorted(one.line.medians))),
            "left_out": " ".join(str(point.seq_len) for point in one.line.left_out),
            "num_processes": one.num_processes,
            "holds": one.law.holds if one.law else None,
            "misfit": one.law.misfit if one.law else None,
            "local_exponents": "; ".join(map(_step, one.steps)),
            "verdict": one.verdict.kind,
            "reason": one.verdict.reason,
            **group.fixed,
            "record_ids": " ".join(id_ for p in one.line.points for id_ in p.record_ids),
        }
        for one in every
    ]


def _parameters(law: PowerLaw | None) -> dict[str, float | None]:
    return {
        f"{name}{end}": value
        for name in ("exponent", "floor", "scale")
        for end, value in _ends(getattr(law, name) if law else None).items()
    }


def _ends(found: Parameter | None) -> dict[str, float | None]:
    if found is None:
        return {"": None, "_low": None, "_high": None}
    return {"": found.value, "_low": found.low, "_high": found.high}


def _step(step: LocalExponent) -> str:
    found = step.exponent
    told = f"{step.after}-{step.until}: {found.value:.3f}"
    bare = found.low is None or found.high is None
    return told if bare else f"{told} [{found.low:.3f}, {found.high:.3f}]"
