"""The run itself: repeat by repeat, block by block, a stream of what happened.

The driver computes nothing. It hands out a block, sleeps until the worker answers, and a case
that takes its XX"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from typing import Any

from softbench import plugins
from softbench.case import Case, Record
from softbench.records import Store
from softbench.run import asking
from softbench.run.agenda import Agenda, Item, Todo, items
from softbench.run.crew import Crew, WorkerLost, in_unit
from softbench.run.ledger import Ledger
from softbench.run.progress import Context, Progress, in_turns
from softbench.run.rates import RatesBook
from softbench.suite import Suite

Why = tuple[str, str, dict[str, Any]]  # status, reason, detail


class Run:
    """One suite on one machine into one results folder."""

    def __init__(
        self,
        suite: Suite,
        cases: Sequence[Case],
        crews: Sequence[Crew],
        store: Store,
        ledger: Ledger,
        context: Context,
    ) -> None:
        self._suite, self._crews, self._store = suite, crews, store
        self._ledger, self._context, self._rates = ledger, context, RatesBook(store)
        self._cases = {case.id: case for case in cases}
        self._statuses: Counter[str] = Counter()
        left = items(cases, suite, ledger)
        self._agenda = Agenda(left, suite.budget.suite_seconds, len(crews))

    @property
    def total(self) -> int:
        """How many measurements are left: (case, metric, repeat)."""
        return self._agenda.total

    def measure(self) -> Iterator[Progress]:
        """Measure all that is left, each repeat in a fresh worker; nothing starts for nothing.

        The first crew has its worker already. Raises WorkerLost if no worker can be started.
        """
        if self.total:
            self._store.append_invocation(self._context.invocation.model_dump(mode="json"))
        if (yield from self._lane(self._crews[0], self._agenda.items(alone=True))):
            self._crews[0].dismiss()
        taken = self._agenda.items(alone=False)
        yield from in_turns([self._lane(crew, taken) for crew in self._crews])

    def _lane(self, crew: Crew, taken: Iterator[Item]) -> Generator[Progress, None, bool]:
        """What one crew does: the next of the items that no crew has taken, while there are any.

        Returns whether there were any.
        """
        repeat: int | None = None
        for item in taken:
            if repeat is not None and item.repeat != repeat:
                crew.dismiss()
            repeat = item.repeat
            if self._agenda.affords(item):
                yield from self._block(item, crew)
                self._agenda.done(item)
            else:
                yield from self._skip(item, crew)
        return repeat is not None

    def _block(self, item: Item, crew: Crew) -> Iterator[Progress]:
        """One block, by as many workers as it takes."""
        patience = asking.patience(item.todo, self._cases, self._suite)
        left = {id: list(names) for id, names in item.todo.items()}
        forgiven = False
        while any(left.values()):
            crew.ready()
            try:
                for event in crew.ask(self._task(left, item.repeat), patience):
                    yield self._heard(event or {}, left, item.repeat, crew)
                return
            except WorkerLost as lost:
                # Before any case, while it measures the machine say, a worker dies of itself once.
                if forgiven or lost.doing.get("case") in _lacking(left):
                    yield from self._give_up(lost, left, item.repeat, crew)
                else:
                    forgiven = True
                crew.dismiss()

    def _task(self, left: Todo, repeat: int) -> dict[str, Any]:
        folder = self._store.folder
        return asking.task(left, repeat, self._cases, self._suite, self._ledger, folder)

    def _heard(self, event: dict[str, Any], left: Todo, repeat: int, crew: Crew) -> Progress:
        """What the worker says: nothing, a measurement, or what later workers are told."""
        match event:
            case {"event": "measured"}:
                return self._record(event, left, repeat, crew)
            case {"event": "predicted", "case": case_id, "cost": cost}:
                self._ledger.note_cost(case_id, cost)
            case {"event": "rates"}:
                self._rates.note(event)
        return self._progress(None, crew)

    def _give_up(self, lost: WorkerLost, left: Todo, repeat: int, crew: Crew) -> Iterator[Progress]:
        """The case that lost its worker gets the failure, for every metric it still lacked.

        The first that is left gets it where the worker was in none of them.
        """
        lacking = _lacking(left)
        named = lost.doing.get("case")
        case_id = named if named in lacking else lacking[0]
        known = lost.known if case_id == named else {}
        why = (lost.status, str(lost), known)
        yield from self._without_value(case_id, left, repeat, why, crew)

    def _skip(self, item: Item, crew: Crew) -> Iterator[Progress]:
        """The suite's time is spent: say so, cell by cell."""
        limit = self._suite.budget.suite_seconds
        reason = f"the suite's budget of {limit:g} s would be overrun"
        detail = {"budget": "suite_seconds", "limit": limit}
        left = {id: list(names) for id, names in item.todo.items()}
        for case_id in item.todo:
            why = ("skipped", reason, detail)
            yield from self._without_value(case_id, left, item.repeat, why, crew)

    def _without_value(
        self, case_id: str, left: Todo, repeat: int, why: Why, crew: Crew
    ) -> Iterator[Progress]:
        status, reason, detail = why
        outcome = {"status": status, "reason": reason, "values": []}
        for name in list(left[case_id]):
            module = plugins.load("metrics", name)
            if hasattr(module, "Recipe"):  # it trains: seconds of a call are not what it takes
                detail = {key: value for key, value in detail.items() if key != "s"}
            for quantity, (unit, better) in module.QUANTITIES.items():
                answer = {"case": case_id, "metric": quantity, "unit": unit, "better": better}
                told = {"detail": in_unit(detail, unit)}
                yield self._record({**answer, **outcome, **told}, left, repeat, crew)

    def _record(self, answer: dict[str, Any], left: Todo, repeat: int, crew: Crew) -> Progress:
        """One answer becomes a record on disk, and its cell is crossed off."""
        fields = {key: value for key, value in answer.items() if key not in ("event", "case")}
        record = Record(
            case=self._cases[answer["case"]],
            repeat=repeat,
            environment=self._context.environment.id,
            protocol=self._context.protocol.id,
            invocation=self._context.invocation.id,
            **fields,
        ).sealed()
        if not self._ledger.has(record):  # a kill may have fallen between a metric's quantities
            self._store.append(record)
            self._ledger.note(record)
        lacking = left[record.case.id]
        for name in [name for name in lacking if record.metric in _quantities(name)]:
            lacking.remove(name)
            self._statuses[record.status] += 1
        return self._progress(record, crew)

    def _progress(self, record: Record | None, crew: Crew) -> Progress:
        doing = crew.doing()
        case = self._cases.get(doing.get("case", ""))
        return Progress(
            doing=f"{doing['metric']} of {case.label}" if case else "starting a worker",
            done=self._statuses.total(),
            total=self._agenda.total,
            statuses=self._statuses,
            seconds_left=self._agenda.seconds_left(),
            record=record,
        )


def _lacking(left: Todo) -> list[str]:
    """The cases of which something is still to be measured."""
    return [id for id, names in left.items() if names]


def _quantities(metric: str) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = plugins.load("metrics", metric).QUANTITIES
    return found
