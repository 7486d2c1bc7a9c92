"""A comparison as people read it: Markdown that a terminal shows in columns."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from softbench.case import Case
from softbench.cli.comparing import CHANCE, FEWEST_TO_ORDER, Cell, Comparison
from softbench.reports import _models
from softbench.reports._labels import MODE, STATUS, labels, quantity_name
from softbench.reports._points import Point, Series
from softbench.reports._units import human, number

HEADING = ("Mechanism", "N", "A", "B", "B / A", "Verdict")
MOST_ALONE = 12  # lines of what one side lacks; a narrowed run lacks most of the whole
Row = tuple[str, ...]
Parts = Mapping[str, Sequence[Cell]]


def lines(found: Comparison) -> Iterator[str]:
    """What is compared, a table for each quantity and mode, what one side lacks, what it means."""
    for name, side in (("A", found.a), ("B", found.b)):
        yield f"{name}: {side.folder} (environment {side.environment.id})"
    everything = [*(cell.a for cell in found.cells), *found.only_a, *found.only_b]
    names = labels(list(dict.fromkeys(point.series for point in everything)))
    for title, cells in _parts(found.cells).items():
        yield from ["", f"## {title}", "", *_section(cells, names, found.barrier)]
    for name, alone in (("A", found.only_a), ("B", found.only_b)):
        if alone:
            yield from ["", f"## Only in {name}", "", *_alone(alone, names)]
    yield from ["", *conclusion(found)]


def conclusion(found: Comparison) -> Iterator[str]:
    """What sets the two apart, what was judged, and how much of that is chance."""
    for kind, differing in (("machine", found.machine), ("versions", found.versions)):
        if differing:
            told = "; ".join(
                f"{name} {_fact(a)} / {_fact(b)}" for name, (a, b) in differing.items()
            )
            yield f"Other {kind} (A / B): {told}."
    if found.a.protocol != found.b.protocol:
        yield f"Other protocol (A / B): {found.a.protocol} / {found.b.protocol}."
    reasons = Counter(cell.reason for cell in found.cells if cell.verdict == "not judged")
    yield from (f"{_cells(count)} not judged: {reason}." for reason, count in reasons.items())
    measured, differ = found.by_interval
    if measured:
        yield (
            f"{differ} of {_cells(measured)} with intervals differ. Of two runs of the same "
            f"thing about {CHANCE * measured:.1f} would (one in twenty at 95 %)."
        )
    if found.by_every_call:
        yield (
            f"{_cells(found.by_every_call)} without interval judged different by every call, over "
            f"{FEWEST_TO_ORDER} processes or more a side (by chance at most one in 35 would be)."
        )


def _parts(cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    """The cells of each table, under its title: quantity, mode, and what else varies."""
    varying = _varying([cell.a.case for cell in cells])
    parts: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        case = cell.a.case
        setting = [f"{name} {_settings(case)[name]}" for name in varying]
        parts[", ".join([quantity_name(cell.a.quantity), MODE[case.mode], *setting])].append(cell)
    return parts


def _section(
    cells: Sequence[Cell], names: Mapping[Series, str], barrier: str | None
) -> Iterator[str]:
    """A table; what is exactly equal is only counted."""
    equal = [cell for cell in cells if cell.verdict == "equal"]
    rows = [_row(cell, names, barrier) for cell in cells if cell.verdict != "equal"]
    if rows:
        yield from _table([HEADING, *rows])
    if equal and rows:
        yield ""
    if equal:
        yield f"Exactly equal in both: {'' if rows else 'all '}{_cells(len(equal))}."


def _row(cell: Cell, names: Mapping[Series, str], barrier: str | None) -> Row:
    said = cell.reason and cell.reason != barrier  # the barrier is said once, at the end
    verdict = f"{cell.verdict}: {cell.reason}" if said else cell.verdict
    where = (names[cell.a.series], f"{cell.a.seq_len:,}")
    return *where, _value(cell.a), _value(cell.b), _ratio(cell), verdict


def _value(point: Point) -> str:
    found = point.estimate
    if found is None:
        return STATUS[point.status]
    text = human(found.centre, point.unit)
    if found.low is None or found.high is None:
        return text
    unit = text.rpartition(" ")[2]
    ends = [human(end, point.unit).removesuffix(f" {unit}") for end in (found.low, found.high)]
    return f"{text} [{', '.join(ends)}]"


def _ratio(cell: Cell) -> str:
    found = cell.ratio
    if found is None or found.centre is None:
        return ""
    if found.low is None or found.high is None:
        return number(found.centre)
    return f"{number(found.centre)} [{number(found.low)}, {number(found.high)}]"


def _table(rows: Sequence[Row]) -> Iterator[str]:
    """Markdown whose columns are aligned, so that it reads on a terminal too."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = tuple(
        "-" * (width - 1) + ":" if at == 1 else "-" * width for at, width in enumerate(widths)
    )
    for row in [rows[0], rule, *rows[1:]]:
        cells = [
            text.rjust(width) if at == 1 else text.ljust(width)
            for at, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield f"| {' | '.join(cells)} |"


def _alone(points: Sequence[Point], names: Mapping[Series, str]) -> Iterator[str]:
    """One line a mechanism, length and mode, with its quantities."""
    quantities: dict[str, list[str]] = defaultdict(list)
    for point in points:
        where = f"{names[point.series]}, N = {point.seq_len:,}, {MODE[point.mode]}"
        quantities[where].append(quantity_name(point.quantity))
    told = [f"- {where}: {', '.join(each)}" for where, each in quantities.items()]
    yield from told[:MOST_ALONE]
    if len(told) > MOST_ALONE:
        yield f"- and {len(told) - MOST_ALONE} more (--json lists them all)"


def _varying(cases: Sequence[Case]) -> list[str]:
    told = [_settings(case) for case in cases]
    return [name for name in told[0] if len({str(each[name]) for each in told}) > 1]


def _settings(case: Case) -> dict[str, Any]:
    named = {"level", "device", "dtype", "inputs"}
    sizes = {"batch_size", "num_heads", "head_dim"}
    told = case.model_dump(include=named) | case.shape.model_dump(include=sizes)
    return told | {"model": _models.words(case.body)}


def _cells(count: int) -> str:
    return f"{count:,} cell{'s' * (count != 1)}"


def _fact(fact: Any) -> str:
    """A fact of a machine in few words."""
    if isinstance(fact, list):
        return ", ".join(str(gpu["name"]) for gpu in fact) or "none"
    return "none" if fact is None else str(fact)
