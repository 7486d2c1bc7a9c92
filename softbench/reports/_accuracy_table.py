"""The table of trained mechanisms: accuracy, difference to softmax, whom it beats, what it cost."""

from __future__ import annotations

import json

from softbench.reports._grid import ABSENT, Cell, Grid
from softbench.reports._labels import DISPLAY, labels, quantity_name
from softbench.reports._trained import COSTS, Field, Trained
from softbench.reports._units import column_unit, human
from softbench.statistics.paired import Difference

BEATS = (
    "Beats: mechanisms whose accuracy is lower by such a difference. Accuracy: mean [lowest, "
    "highest seed]. Costs: means over seeds, FLOPs and latency of one sample."
)


def grid(field: Field) -> Grid:
    """A row for each mechanism that was trained at least once."""
    names = labels([one.series for one in field.trained])
    against, beaten = field.against_reference(), field.beaten()
    rows = []
    for one in field.trained:
        if not one.accuracy:
            continue
        lesser = [DISPLAY.get(s.attention, s.attention) for s in beaten[one.series]]
        cells = [
            _accuracy(one),
            _difference(against.get(one.series)),
            ", ".join(lesser) or ABSENT,
            *(_cost(one, quantity) for quantity in field.costs),
        ]
        rows.append((str(len(one.accuracy)), names[one.series], tuple(map(Cell, cells))))
    heading = (
        "Seeds", "Mechanism", "Accuracy (%)", "To softmax (points)", "Beats",
        *(quantity_name(quantity) for quantity in field.costs),
    )  # fmt: skip
    return Grid(heading, tuple(rows), "rlrrl" + "r" * len(field.costs))


def rows(field: Field) -> list[dict[str, object]]:
    """A row of the CSV for each mechanism, in SI units, costs as means over seeds."""
    names = labels([one.series for one in field.trained])
    against, beaten = field.against_reference(), field.beaten()
    return [
        {
            "label": names[one.series],
            "attention": one.series.attention,
            "params": one.series.params,
            "task": json.dumps(field.task, sort_keys=True),
            "accuracy": one.mean,
            "by_seed": json.dumps({str(s): v for s, v in sorted(one.accuracy.items())}),
            **_paired(against.get(one.series)),
            "beats": " ".join(names[other] for other in beaten.get(one.series, [])),
            **{quantity: one.cost(quantity) for quantity in COSTS},
            **field.group.fixed,
            "record_ids": " ".join(one.record_ids),
        }
        for one in field.trained
    ]


def _paired(found: Difference | None) -> dict[str, object]:
    return {
        "to_softmax": found and found.mean,
        "low": found and found.low,
        "high": found and found.high,
        "shared_seeds": len(found.shared) if found else None,
        "without_interval": found and found.without_interval,
    }


def _accuracy(one: Trained) -> str:
    values = [100 * value for value in one.accuracy.values()]
    mean = 100 * (one.mean or 0.0)
    spread = f" [{min(values):.1f}, {max(values):.1f}]" if len(values) > 1 else ""
    return f"{mean:.1f}{spread}"


def _difference(found: Difference | None) -> str:
    if found is None or found.mean is None:
        return ABSENT
    told = f"{100 * found.mean:+.1f}".replace("-", "−")
    if found.low is None or found.high is None:
        return f"{told} ({found.without_interval})"
    ends = f"[{100 * found.low:+.1f}, {100 * found.high:+.1f}]".replace("-", "−")
    return f"{told} {ends}"


def _cost(one: Trained, quantity: str) -> str:
    value = one.cost(quantity)
    if value is None:
        return ABSENT
    unit, _ = COSTS[quantity]
    return human(value, unit) if column_unit(unit)[1] else f"{value:,.0f}"
