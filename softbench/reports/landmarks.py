"""Error against latency, peak memory and FLOPs along each mechanism's rank, log-log.

A row shows the error against the mechanism's own dense attention, another that against softmax; a
mechanism that has no dense attention of its own (SOFT++) stands in the second only, and the caption
says so. One figure for each length, mode and setting; every value is also a row of the CSV beside
it, with the ids of the records it came from.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from softbench.case import Record
from softbench.reports import _curves, _longform, _machine, _notes, _sheet, _tradeoff
from softbench.reports._curves import Stop
from softbench.reports._figure import own_settings
from softbench.reports._groups import Group, groups
from softbench.reports._labels import ASIDE, DISPLAY, labels
from softbench.reports.scaling import quantities as costs_of

ERRORS = ("approximation_error", "softmax_error")
REFERENCE = "softmax"


def render(records: Sequence[Record], folder: Path) -> list[Path]:
    """Write landmarks[_suffix].pdf, .svg, .png and .csv into `folder`; returns their paths.

    Raises ValueError if no case has both an error and a cost.
    """
    drawable = [group for group in groups(records, ("seq_len", "mode")) if _errors(group)]
    if not drawable:
        held = ", ".join(sorted({record.metric for record in records}))
        raise ValueError(
            f"nothing to plot: the records hold {held}; landmarks shows {' or '.join(ERRORS)} "
            "against latency, peak_memory, predicted_peak_memory or flops of the same case"
        )
    folder.mkdir(parents=True, exist_ok=True)
    return [path for group in drawable for path in _render(group, folder)]


def stops_of(group: Group) -> tuple[list[Stop], list[Stop]]:
    """The stops of the mechanisms that approximate something, and those of softmax."""
    found = _curves.stops(group.points, _curves.RANKS)
    own = [stop for stop in found if stop.curve.attention != REFERENCE]
    return own, [stop for stop in found if stop.curve.attention == REFERENCE]


def kinds_of(group: Group) -> tuple[list[str], list[str]]:
    """The errors that get a row and the costs that get a column."""
    return _errors(group), costs_of(group)


def notes(group: Group, facts: dict[str, Any]) -> list[str]:
    """The paragraphs at the foot: setting, statistic, what the errors are, what is missing."""
    own, references = stops_of(group)
    errors, costs = kinds_of(group)
    points = _curves.own_points([*own, *references])
    names = labels(list(_curves.by_curve([*own, *references])))
    timed = [point for point in points if point.quantity in costs]
    shown = [p for p in points if p.quantity in (*errors, *costs) and not _is_reference(p, errors)]
    caption = [
        _notes.setting(group, facts),
        _ranks(own),
        _notes.measured(timed, facts),
        "Error: relative Frobenius distance of the attention term over all heads, against float64.",
        *_asides(own),
        _notes.missing(shown),
    ]
    return [" ".join(filter(None, caption)), _notes.unsupported(shown, names)]


def _is_reference(point: Any, errors: Sequence[str]) -> bool:
    return point.series.attention == REFERENCE and point.quantity in errors


def _errors(group: Group) -> list[str]:
    own, _ = stops_of(group)
    costs = costs_of(group)
    return [e for e in ERRORS if any(_tradeoff.is_placed(s, e, c) for s in own for c in costs)]


def _ranks(own: Sequence[Stop]) -> str:
    """Which ranks the marks stand for; lines with other ranks than the first are named."""
    sets: dict[tuple[int, ...], set[str]] = {}
    for curve, along in _curves.by_curve(own).items():
        ranks = tuple(stop.at for stop in along if stop.at is not None)
        if ranks:
            sets.setdefault(ranks, set()).add(DISPLAY.get(curve.attention, curve.attention))
    if not sets:
        return ""
    listed = [", ".join(map(str, ranks)) for ranks in sets]
    if len(sets) > 1:
        of = [f" ({', '.join(sorted(mechanisms))})" for mechanisms in sets.values()]
        listed = [text + whose for text, whose in zip(listed, of, strict=True)]
    what = "rank (landmarks M, projection length k, features R)"
    return f"Marks along a line, numbered at its ends: {what} {'; '.join(listed)}."


def _asides(own: Sequence[Stop]) -> list[str]:
    mechanisms = dict.fromkeys(stop.curve.attention for stop in own)
    return [ASIDE[name] for name in mechanisms if name in ASIDE]


def _render(group: Group, folder: Path) -> list[Path]:
    stem = folder / f"landmarks{group.suffix}"
    facts = _machine.facts(folder, group)
    own, references = stops_of(group)
    kinds = kinds_of(group)
    with own_settings():
        figure = _tradeoff.draw(own, references, kinds, notes(group, facts))
        paths = _sheet.write(figure, stem)
    shown = [row for row in _longform.rows(group) if row["quantity"] in (*kinds[0], *kinds[1])]
    return [*paths, _longform.write(stem.with_name(f"{stem.name}.csv"), shown)]
