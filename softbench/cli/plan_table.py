"""A plan as people read it: a block a mechanism and mode, a line a length, the whole run below."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from softbench.case import Case
from softbench.cli.plan_rows import Row
from softbench.cli.quantities import clock, mebi, scaled, timed
from softbench.environment import Environment
from softbench.run.estimate import Estimate
from softbench.suite import Suite

WIDTH = 100
TITLES = {"tokens": 9, "FLOPs": 6, "memory": 8, "a call": 8}


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Lines of at most WIDTH characters; of the cases' fields those that vary are shown."""
    varying = _varying([row.case for row in rows])
    blocks: dict[str, list[Row]] = {}
    for row in rows:
        blocks.setdefault(_heading(row.case, varying), []).append(row)
    before: list[str] | None = None
    for heading, block in blocks.items():
        first = _fields(block[0].case)
        columns = [name for name in varying if not isinstance(first.get(name, ""), str)]
        if columns != before:
            yield _line([*columns, *TITLES], columns, "in this run")
        before = columns
        yield heading
        yield from (_row(row, columns) for row in block)


def _row(row: Row, columns: Sequence[str]) -> str:
    fields = _fields(row.case)
    own = [str(fields[name]) for name in columns]
    cost = [f"{row.case.shape.seq_len:,}", scaled(row.flops), mebi(row.memory), timed(row.latency)]
    return _line([*own, *cost], columns, _outcome(row))


def _line(texts: Sequence[str], columns: Sequence[str], last: str) -> str:
    widths = [*(max(len(name), 6) for name in columns), *TITLES.values()]
    cells = (f"{text:>{width}}" for text, width in zip(texts, widths, strict=True))
    line = f"  {'  '.join(cells)}  {last}"
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"


def _outcome(row: Row) -> str:
    """What the run would do with the case, in the last column."""
    if row.cells and row.recorded == row.cells:
        return "recorded"
    done = f", {row.recorded} of {row.cells} recorded" if row.recorded else ""
    why = f": {row.reason}" if row.reason else ""
    if row.status == "run" and row.seconds is not None:
        return f"{timed(row.seconds)}{done}{why}"
    if row.status == "counted":
        return f"counted{done}"
    return f"{row.status or 'unknown'}{why}{done}"


def summary(
    suite: Suite, rows: Sequence[Row], estimate: Estimate | None, environment: Environment
) -> list[str]:
    """What to know of the whole run, a line each."""
    cells, recorded = sum(row.cells for row in rows), sum(row.recorded for row in rows)
    statuses = Counter(row.status or "unknown" for row in rows)
    told = ", ".join(f"{count} {status}" for status, count in statuses.most_common())
    lines = [f"{suite.name}: {len(rows)} cases ({told}), {cells} measurements, {recorded} recorded"]
    too_large = sum(row.fits is False and row.status != "counted" for row in rows)
    if too_large:
        lines.append(f"{too_large} do not fit into the memory that they may use")
    if statuses["counted"]:
        lines.append("counted: nothing runs, FLOPs and predictions are taken where the suite asks")
    return lines + (_durations(estimate) if estimate else _unknown(rows, environment))


def _unknown(rows: Sequence[Row], environment: Environment) -> list[str]:
    devices = dict.fromkeys(row.case.device for row in rows)
    away = ", ".join(device for device in devices if not environment.has(device))
    return [f"there is no {away} here: FLOPs and memory are predicted, time and fit are not known"]


def _durations(estimate: Estimate) -> list[str]:
    if not estimate.cases:
        return ["nothing is left to measure"]
    lines = [
        f"about {clock(estimate.total)} in all, of which {clock(estimate.workers)} to start workers"
    ]
    if estimate.overruns:
        wanted = sum(estimate.cases.values())
        lines.append(
            f"the suite's budget of {clock(estimate.allowed)} is less than its cases take "
            f"({clock(wanted)}): the last would be skipped"
        )
    return lines


def _heading(case: Case, varying: Sequence[str]) -> str:
    """Mechanism, backend, mode and what else varies in words."""
    fields = _fields(case)
    words = [f"{name} {fields[name]}" for name in varying if isinstance(fields.get(name), str)]
    return ", ".join([f"{case.attention}/{case.backend}", case.mode, *words])


def _varying(cases: Sequence[Case]) -> list[str]:
    """What some mechanism has in two values, but for its backend, mode and tokens."""
    values: dict[tuple[str, str], set[Any]] = {}
    for case in cases:
        for name, value in _fields(case).items():
            values.setdefault((case.attention, name), set()).add(value)
    return list(dict.fromkeys(name for (_, name), found in values.items() if len(found) > 1))


def _fields(case: Case) -> dict[str, Any]:
    """Words as text, numbers as they are."""
    body = {"model" if k == "name" else k: v for k, v in (case.body or {}).items()}
    given = (body | case.params).items()
    own = {k: v if type(v) in (int, float) else str(v) for k, v in given}
    sizes = case.shape.model_dump(include={"batch_size", "num_heads", "head_dim"})
    words = {"level": case.level, "inputs": case.inputs, "dtype": case.dtype, "device": case.device}
    return own | sizes | words | {"compile": str(case.compile), "seed": case.seed}
