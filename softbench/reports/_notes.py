"""What a reader must know beside the numbers: device, shape, statistic, and what is missing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from softbench.case import CLOCKED
from softbench.reports import _machine, _models
from softbench.reports._groups import Group
from softbench.reports._labels import DISPLAY, MODE, STATUS, order
from softbench.reports._points import Point, Series
from softbench.reports._repeats import unlike
from softbench.statistics.interval import Estimate

TELLING = ("environment-", "protocol-")  # said only where another has a figure of its own
AUTO = "auto"
NAMED = ("softmax",)  # their labels always name the backend
FURTHER = {"seq_len": "N = {:,}", "num_landmarks": "M = {}"}


def setting(group: Group, facts: dict[str, Any]) -> str:
    """Device, precision and sizes, and which backends ran; `facts` are known of the machine."""
    fixed = group.fixed
    parts = [
        _machine.device(str(fixed["device"]), facts),
        str(fixed["dtype"]),
        f"{fixed['level']} level",
        *_sizes(group),
        *(form.format(fixed[name]) for name, form in FURTHER.items() if fixed.get(name)),
    ]
    if "mode" in fixed:
        parts.append(MODE[str(fixed["mode"])])
    if fixed["inputs"] != "normal":
        parts.append(f"{fixed['inputs']} inputs")
    parts += [word.replace("-", " ", 1) for word in group.words if word.startswith(TELLING)]
    return " ".join(filter(None, [", ".join(parts) + ".", backends(group)]))


def _sizes(group: Group) -> list[str]:
    """Of the heads; of a model its name and parameters, for it may have others in every block."""
    fixed, body = group.fixed, group.records[0].case.body
    if body is None:
        return [f"B = {fixed['batch_size']}, H = {fixed['num_heads']}, D = {fixed['head_dim']}"]
    counts = "N: the tokens in its first block"
    return [_models.words(body), f"B = {fixed['batch_size']}", counts]


def backends(group: Group) -> str:
    """What ran of the mechanisms whose names do not tell; empty if that is `eager` everywhere."""
    offered: dict[str, set[str]] = defaultdict(set)
    for one in group.series:
        offered[one.attention].add(one.backend)
    ran: dict[str, dict[str, None]] = defaultdict(dict)
    for point in sorted(group.points, key=lambda point: order(point.series)):
        attention = point.series.attention
        if attention in NAMED or (len(offered[attention]) > 1 and point.series.backend != AUTO):
            continue
        backend = point.remarks.backend or point.series.backend
        if backend != AUTO:
            ran[backend][DISPLAY.get(attention, attention)] = None
    if set(ran) <= {"eager"}:
        return ""
    return f"Backends: {'; '.join(f'{name} of {_and(list(of))}' for name, of in ran.items())}."


def _and(names: Sequence[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def measured(points: Sequence[Point], facts: dict[str, Any]) -> str:
    """The statistic, how busy the machine was, and how steady."""
    return " ".join(filter(None, [method(points), steadiness(points, facts)]))


def steadiness(points: Sequence[Point], facts: dict[str, Any]) -> str:
    """How busy the machine was and whether it stayed as fast, as far as the records tell."""
    return " ".join(filter(None, [_load(points, facts), _drift(points), unlike(points)]))


def _load(points: Sequence[Point], facts: dict[str, Any]) -> str:
    """How busy the machine was when its runs began; empty if unknown or nothing was timed."""
    loads, timed = facts.get("load"), any(p.unit in CLOCKED and p.estimate for p in points)
    if not loads or not timed:
        return ""
    span = " to ".join(dict.fromkeys(f"{load:.1f}" for load in (min(loads), max(loads))))
    cores = f" on {facts['cores']} cores" if facts.get("cores") else ""
    runs = "the run" if len(loads) == 1 else f"{len(loads)} runs"
    return f"Load at the start of {runs}: {span}{cores}."


def _drift(points: Sequence[Point]) -> str:
    """In how many of the timed cells the sentinel saw the machine's speed drift."""
    timed = {point.case.id for point in points if point.unit in CLOCKED and point.estimate}
    drifted = {point.case.id for point in points if point.remarks.drifted}
    if not drifted:
        return ""
    of = f"{len(drifted)} of {len(timed | drifted)} timed cells"
    return f"In {of} the machine's speed drifted while they were measured."


def method(points: Sequence[Point]) -> str:
    """What a printed value and its interval are, and of how many processes."""
    timed = [point.estimate for point in points if point.estimate and not point.estimate.exact]
    if not timed:
        predicted = any(point.quantity.startswith("predicted") for point in points)
        return f"Every value is an exact count{' or a prediction' if predicted else ''}."
    counts = sorted({found.num_processes for found in timed})
    many = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    text = f"Values: geometric mean of the medians of {many} fresh processes."
    if counts == [1]:
        text = "Values: medians of a single fresh process."
    if any(found.low is not None for found in timed):
        text += " Intervals: 95 % t interval on the log medians."
    return text + _bare(timed)


def _bare(timed: Sequence[Estimate]) -> str:
    kinds = Counter(found.without_interval for found in timed)
    says = {
        "one process": "from one process",
        "few calls": "of fewer than 3 calls in some process (all calls kept raw)",
        "not positive": "that reach zero",
    }
    missing = [says[kind] for kind in says if kinds[kind]]
    return f" No interval for values {' or '.join(missing)}." if missing else ""


def missing(points: Sequence[Point]) -> str:
    """How many cells (cases) were not measured in full, by status; empty if every one was."""
    lost = {(p.status, p.case.id) for p in points if p.status not in ("ok", "unsupported")}
    counts = Counter(status for status, _ in sorted(lost))
    listed = [f"{count} {STATUS[status]}" for status, count in counts.items()]
    # Where nothing was to run, nothing was lost: only what was tried of the same quantity counts.
    tried = {point.quantity for point in points if (point.status, point.case.id) in lost}
    cells = len({point.case.id for point in points if point.quantity in tried})
    return f"Not measured: {', '.join(listed)} of {cells} cells." if listed else ""


def unsupported(points: Sequence[Point], names: Mapping[Series, str]) -> str:
    """Which series cannot be had at which lengths, and why; empty if there are none."""
    lengths: dict[tuple[str, str], set[int]] = defaultdict(set)
    for point in points:
        if point.status == "unsupported":
            reason = " ".join((point.reason or "no reason given").split())
            lengths[names[point.series], reason].add(point.seq_len)
    said = [f"{name} at N = {_listed(at)} ({reason})" for (name, reason), at in lengths.items()]
    return f"Not supported: {'; '.join(said)}." if said else ""


def _listed(lengths: set[int]) -> str:
    return ", ".join(f"{length:,}" for length in sorted(lengths))
