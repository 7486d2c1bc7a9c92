"""`softbench plan`: what a run would cost, told by a worker that runs none of it."""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from softbench.case import Case
from softbench.cli.choosing import Choice, choose, folder_of, usable
from softbench.cli.plan_rows import Row, rows_of
from softbench.cli.plan_table import summary, table
from softbench.cli.running import invocation
from softbench.environment import Environment
from softbench.executors import local
from softbench.protocol import Protocol
from softbench.run import Crew, Ledger
from softbench.run.estimate import Estimate, Pace
from softbench.suite import Suite, expand

PATIENCE = 120.0  # a trace takes a fraction of a second, and its first imports some


@dataclass(frozen=True)
class Told:
    """What the worker said: of each case, and how long it took to say it."""

    planned: dict[str, dict[str, Any]]
    pace: Pace


@dataclass(frozen=True)
class Plan:
    """A suite with the plan of its cases; no estimate where a case's device is not here."""

    suite: Suite
    environment: Environment
    rows: list[Row]
    estimate: Estimate | None


def plan_suite(
    name: str,
    out: Path,
    only: Sequence[str],
    changes: Sequence[str],
    plugin_files: Sequence[Path],
    *,
    as_json: bool,
) -> None:
    """Print the plan of a suite: a table, or one JSON object a case and the rest beside it."""
    found = plan_of(choose(name, only, changes, plugin_files), out)
    if as_json:
        for row in found.rows:
            print(json.dumps(row.as_json(), ensure_ascii=False, allow_nan=False))
    else:
        for line in table(found.rows):
            print(line)
    for line in summary(found.suite, found.rows, found.estimate, found.environment):
        print(line, file=sys.stderr if as_json else sys.stdout)


def plan_of(choice: Choice, out: Path) -> Plan:
    """The plan of what `run` would do with the same choice; `out`: where it keeps its results."""
    protocol = choice.suite.protocol
    with Crew(local, protocol, choice.plugins) as crew:
        began = time.monotonic()
        crew.hire()  # it imports torch while the mechanisms are read here
        expand(choice.suite, "cpu")
        environment = crew.environment()
        started = time.monotonic() - began
        cases = expand(choice.suite, environment.auto_device)
        ledger = _ledger(choice, cases, environment, out, protocol)
        told = ask(crew, cases, choice.suite, ledger, environment, started)
    rows, estimate = rows_of(cases, choice.suite, ledger, environment, told.planned, told.pace)
    return Plan(choice.suite, environment, rows, estimate)


def ask(
    crew: Crew,
    cases: Sequence[Case],
    suite: Suite,
    ledger: Ledger,
    environment: Environment,
    started: float,
) -> Told:
    """What the crew's worker says of every case; `started`: seconds that it took to start."""
    watch = _Watch(started)
    planned: dict[str, dict[str, Any]] = {}
    for task in _tasks(cases, suite, ledger, environment):
        watch.begin()
        for event in crew.ask(task, PATIENCE):
            if event is not None:
                watch.note(event["event"])
            if event is not None and event["event"] == "planned":
                planned[event["case"]] = event
    return Told(planned, watch.pace())


def _tasks(
    cases: Sequence[Case], suite: Suite, ledger: Ledger, environment: Environment
) -> Iterator[dict[str, Any]]:
    """One task a device and dtype, and one more for the lengths at which nothing runs."""
    groups: dict[tuple[str, str, bool], list[Case]] = defaultdict(list)
    for case in cases:
        groups[case.device, case.dtype, suite.runs(case)].append(case)
    for (device, _, runs), alike in groups.items():
        yield {
            "plan": {"here": environment.has(device)},
            "cases": [case.model_dump(mode="json") for case in alike],
            "metrics": suite.metrics if runs else [],
            "budget": suite.budget.model_dump(mode="json"),
            "seen": ledger.seen(alike),
        }


class _Watch:
    """How long a worker took for what it said, which the run's workers will take too."""

    def __init__(self, started: float) -> None:
        self._started = started
        self._latest = time.monotonic()
        self._took: dict[str, list[float]] = defaultdict(list)

    def begin(self) -> None:
        """A task is given now."""
        self._latest = time.monotonic()

    def note(self, kind: str) -> None:
        """The worker has just said something of this kind."""
        now = time.monotonic()
        self._took[kind].append(now - self._latest)
        self._latest = now

    def pace(self) -> Pace:
        """The mean of what was seen; a process's first trace by itself."""
        first, *others = self._took["planned"]
        trace = _mean(others or [first])
        rates = _mean(self._took["rates"] or [0.0])
        return Pace(self._started, rates, trace, max(0.0, first - trace))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _ledger(
    choice: Choice,
    cases: Sequence[Case],
    environment: Environment,
    out: Path,
    protocol: Protocol,
) -> Ledger:
    """What `run` would find recorded already."""
    where = folder_of(choice, cases, environment, out)
    known = usable(where, protocol, environment, invocation(choice.plugins))
    return Ledger(known, choice.suite.budget)
