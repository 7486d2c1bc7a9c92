"""What is to be measured in which order, and how long it will take by what it took before."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import filterfalse

from softbench import plugins
from softbench.case import Case
from softbench.run.ledger import Ledger
from softbench.suite import Suite, is_clocked, only_counts

Todo = dict[str, list[str]]  # case id to the metrics it still lacks


@dataclass(frozen=True)
class Item:
    """One block of one repeat; `counts` if nothing of it runs a case for its time or memory.

    alone: no other worker may be at work meanwhile, which would disturb its clock.
    """

    repeat: int
    todo: Todo
    counts: bool
    alone: bool = False

    @property
    def name(self) -> str:
        """A block is known by its cases, whatever they still lack."""
        kind = "counts of " if self.counts else "times of " if self.alone else ""
        return kind + ",".join(sorted(self.todo))


def items(cases: Sequence[Case], suite: Suite, ledger: Ledger) -> list[Item]:
    """What is left to measure of `cases`, in the order of the run.

    Counts first, which cost little and fail for no lack of time; then repeats outermost: if the
    time runs out, every cell has been measured about as often. Where several workers are side by
    side, what is told by a clock comes before what they do together. Of a length that is only
    predicted nothing is taken but what never runs a case.
    """
    counts = [name for name in suite.metrics if not plugins.load("metrics", name).REPEATED]
    timed = [name for name in suite.metrics if suite.workers > 1 and is_clocked(name)]
    rest = [name for name in suite.metrics if name not in [*counts, *timed]]
    never_run = [name for name in counts if only_counts(name)]
    run, predicted = _blocks(filter(suite.runs, cases)), _blocks(filterfalse(suite.runs, cases))
    found = [
        *(_item(block, counts, 0, ledger, counts=True) for block in run),
        *(_item(block, never_run, 0, ledger, counts=True) for block in predicted),
        *(
            _item(block, names, repeat, ledger, alone=names is timed)
            for names in (timed, rest)
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
        self._ahead = list(items)
        self._began: dict[str, tuple[Item, float]] = {}  # what is being measured

    def items(self, *, alone: bool = False) -> Iterator[Item]:
        """Each item in turn, of those that are measured alone or of those that are not."""
        for item in [one for one in self._items if one.alone == alone]:
            self._ahead = [one for one in self._ahead if one is not item]
            self._began[item.name] = item, time.monotonic()
            yield item

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
        now = time.monotonic()
        ahead = sum(self._expected(item) / self._together(item) for item in self._ahead)
        for item, began in self._began.values():
            ahead += max(0.0, self._expected(item) - (now - began)) / self._together(item)
        return max(0.0, min(ahead, self._seconds_of_budget()))

    def _together(self, item: Item) -> int:
        """How many items are measured at the same time as this one, itself among them."""
        return 1 if item.alone else self._side_by_side

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
    block: Sequence[Case],
    metrics: Sequence[str],
    repeat: int,
    ledger: Ledger,
    *,
    counts: bool = False,
    alone: bool = False,
) -> Item:
    lacking = {case.id: [m for m in metrics if ledger.lacks(case, m, repeat)] for case in block}
    todo = {id: names for id, names in lacking.items() if names}
    return Item(repeat, todo, counts, alone)


def _blocks(cases: Iterable[Case]) -> list[list[Case]]:
    """Cases of one shape, dtype, device and mode together, in the order of their first."""
    blocks: dict[str, list[Case]] = {}
    for case in cases:
        blocks.setdefault(case.block, []).append(case)
    return list(blocks.values())
