"""What is to be measured in which order, and how long it will take by what it took before."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import filterfalse

from softbench import plugins
from softbench.case import Case
from softbench.run.ledger import Ledger
from softbench.suite import Suite, only_counts

Todo = dict[str, list[str]]  # case id to the metrics it still lacks


@dataclass(frozen=True)
class Item:
    """One block of one repeat; `counts` if nothing of it runs a case for its time or memory."""

    repeat: int
    todo: Todo
    counts: bool

    @property
    def name(self) -> str:
        """A block is known by its cases, whatever they still lack."""
        return ("counts of " if self.counts else "") + ",".join(sorted(self.todo))


def items(cases: Sequence[Case], suite: Suite, ledger: Ledger) -> list[Item]:
    """What is left to measure of `cases`, in the order of the run.

    Counts first, which cost little and fail for no lack of time; then repeats outermost: if the
    time runs out, every cell has been measured about as often. Of a length that is only predicted
    nothing is taken but what never runs a case.
    """
    counts = [name for name in suite.metrics if not plugins.load("metrics", name).REPEATED]
    rest = [name for name in suite.metrics if name not in counts]
    never_run = [name for name in counts if only_counts(name)]
    run, predicted = _blocks(filter(suite.runs, cases)), _blocks(filterfalse(suite.runs, cases))
    found = [
        *(_item(block, counts, 0, ledger, counts=True) for block in run),
        *(_item(block, never_run, 0, ledger, counts=True) for block in predicted),
        *(
            _item(block, rest, repeat, ledger, counts=False)
            for repeat in range(suite.repeats)
            for block in run
        ),
    ]
    return [item for item in found if item.todo]


class Agenda:
    """The items of a run in turn, within the time that the suite has, some at the same time."""

    def __init__(self, items: Sequence[Item], suite_seconds: float, side_by_side: int = 1) -> None:
        self._items, self._side_by_side = items, side_by_side
        self.total = sum(len(names) for item in self._items for names in item.todo.values())
        self._ends_at = time.monotonic() + suite_seconds
        self._took: dict[str, float] = {}
        self._latest: float | None = None  # seconds of the last block that was measured
        self._ahead: Sequence[Item] = []
        self._began: dict[str, tuple[Item, float]] = {}  # what is being measured

    def __iter__(self) -> Iterator[Item]:
        """Each item in turn."""
        self._began = {}
        for index, item in enumerate(self._items):
            self._ahead = self._items[index + 1 :]
            self._began[item.name] = item, time.monotonic()
            yield item
        self._ahead = []

    def done(self, item: Item) -> None:
        """Remember how long the item took: it was measured, not skipped."""
        self._took[item.name] = time.monotonic() - self._began.pop(item.name)[1]
        if not item.counts:
            self._latest = self._took[item.name]

    def affords(self, item: Item) -> bool:
        """Whether the item, if it takes what is expected, ends within the suite's budget."""
        affordable = item.counts or self._expected(item) <= self._seconds_of_budget()
        if not affordable:
            self._began.pop(item.name, None)
        return affordable

    def seconds_left(self) -> float | None:
        """An estimate, never more than the budget leaves; None before anything was measured."""
        if self._latest is None:
            return None
        ahead = sum(self._expected(item) for item in self._ahead)
        now = time.monotonic()
        for item, began in self._began.values():
            ahead += max(0.0, self._expected(item) - (now - began))
        return max(0.0, min(ahead / self._side_by_side, self._seconds_of_budget()))

    def _expected(self, item: Item) -> float:
        """What this block took in an earlier repeat; else what the last one took.

        That is too little for a longer block, but unknown blocks stand in the first repeat alone,
        when there is time left.
        """
        if item.counts:
            return 0.0
        return self._took.get(item.name, self._latest or 0.0)

    def _seconds_of_budget(self) -> float:
        return self._ends_at - time.monotonic()


def _item(
    block: Sequence[Case], metrics: Sequence[str], repeat: int, ledger: Ledger, *, counts: bool
) -> Item:
    lacking = {case.id: [m for m in metrics if ledger.lacks(case, m, repeat)] for case in block}
    todo = {id: names for id, names in lacking.items() if names}
    return Item(repeat, todo, counts)


def _blocks(cases: Iterable[Case]) -> list[list[Case]]:
    """Cases of one shape, dtype, device and mode together, in the order of their first."""
    blocks: dict[str, list[Case]] = {}
    for case in cases:
        blocks.setdefault(case.block, []).append(case)
    return list(blocks.values())
