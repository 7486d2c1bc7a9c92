"""Latency, peak memory and FLOPs against the number of tokens, log-log: one line a mechanism.

Rows are the modes, columns the quantities. Records of different dtype, device, level, sizes or
machine never share a figure: each combination has its own, named by what differs. Predicted bytes
go on where nothing was tried any more; latency keeps to the lengths that were. Every point is also
a row of the CSV beside the figure, with the ids of the records it came from.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from softbench.case import Record
from softbench.reports import _figure, _longform
from softbench.reports._column import PREDICTOR
from softbench.reports._groups import Group, groups

# A panel shows the first of its quantities that the records hold.
PANELS = (("latency",), ("peak_memory", "predicted_peak_memory"), ("flops",))


def render(records: Sequence[Record], folder: Path) -> list[Path]:
    """Write scaling[_suffix].pdf, .svg, .png and .csv into `folder`; returns their paths.

    Raises ValueError if no record holds a latency, a peak memory or a FLOPs count.
    """
    drawable = [group for group in groups(records) if quantities(group)]
    if not drawable:
        held = ", ".join(sorted({record.metric for record in records}))
        wanted = ", ".join(name for panel in PANELS for name in panel)
        raise ValueError(f"nothing to plot: the records hold {held}; scaling shows {wanted}")
    folder.mkdir(parents=True, exist_ok=True)
    return [path for group in drawable for path in _render(group, folder)]


def quantities(group: Group) -> list[str]:
    """The quantities that get a panel: those of which there is more than "unsupported"."""
    held = [next((name for name in panel if group.holds(name)), None) for panel in PANELS]
    return [name for name in held if name]


def _render(group: Group, folder: Path) -> list[Path]:
    stem = folder / f"scaling{group.suffix}"
    panels = quantities(group)
    told = {*panels, *(PREDICTOR[name] for name in panels if name in PREDICTOR)}
    drawn = [row for row in _longform.rows(group) if row["quantity"] in told]
    table = stem.with_name(stem.name + ".csv")
    return [
        *_figure.save(group, panels, stem),
        _longform.write(table, drawn),
    ]
