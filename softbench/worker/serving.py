"""What a worker is asked, done: a block measured, or cases predicted alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from softbench.case import Case
from softbench.metrics._sentinel import Sentinel
from softbench.protocol import Protocol
from softbench.worker.budget import Cost, told
from softbench.worker.doing import Doing
from softbench.worker.measuring import Task, computes, measure_block, runs
from softbench.worker.planning import Outlook, plan_cases
from softbench.worker.rates import UNLIMITED, Rating

Tell = Callable[[dict[str, Any]], None]


class Server:
    """Does what it is asked and tells what comes of it; keeps what holds for the process."""

    def __init__(self, protocol: Protocol, doing: Doing, tell: Tell) -> None:
        self._protocol, self._doing, self._tell = protocol, doing, tell
        self._rating = Rating(tell)
        self._sentinels: dict[str, Sentinel] = {}

    def serve(self, given: Mapping[str, Any]) -> None:
        """One task of the driver's; see the module's `__main__` for what it may ask."""
        cases = [Case.model_validate_json(json.dumps(case)) for case in given["cases"]]
        rest = {key: value for key, value in given.items() if key not in ("cases", "plan")}
        if "plan" in given:
            self._plan(cases, rest, here=given["plan"]["here"])
        else:
            self._measure(cases, rest)
        self._tell({"event": "done"})

    def _measure(self, cases: Sequence[Case], rest: dict[str, Any]) -> None:
        wanted = {name for names in rest["metrics"].values() for name in names}
        needed = any(runs(name) for name in wanted)
        rates = self._rates(cases[0], wanted) if needed else {"rates": UNLIMITED}
        known = {"protocol": self._protocol, "sentinels": self._sentinels, **rates}
        task = Task(cases=cases, **known, **rest)
        for measured in measure_block(task, self._doing.enter, self._predicted, self._doing.know):
            self._tell({"event": "measured", **measured})

    def _predicted(self, case_id: str, cost: Cost) -> None:
        self._tell({"event": "predicted", "case": case_id, "cost": told(cost)})

    def _plan(self, cases: Sequence[Case], rest: dict[str, Any], *, here: bool) -> None:
        timed = here and cases[0].device != "meta"
        rates = self._rates(cases[0], rest["metrics"]) if timed else {"rates": None}
        for planned in plan_cases(cases, Outlook(**rates, **rest), self._doing.enter):
            self._tell({"event": "planned", **planned})

    def _rates(self, case: Case, metrics: Iterable[str]) -> dict[str, Any]:
        """For the case's own dtype; for float32 too where a metric computes in it besides."""
        computing = any(computes(name) for name in metrics)
        return {
            "rates": self._rating.of(case.device, case.dtype),
            "float32": self._rating.of(case.device, "float32") if computing else None,
        }
