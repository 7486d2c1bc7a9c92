"""What is to be measured in which order, and how long it will take by what it took before."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from softbench.case import Case
from softbench.run.ledger import Ledger

Todo = dict[str, list[str]]  # case id to the metrics it still lacks


@dataclass(frozen=True)
class Item:
    """One block of one repeat."""

    repeat: int
    todo: Todo

    @property
    def name(self) -> str:
        """A block is known by its cases, whatever they still lack."""
        return ",".join(sorted(self.todo))


class Agenda:
    """Repeats outermost: if the time runs out, every cell has been measured about as often."""

    def __init__(
        self,
        cases: Sequence[Case],
        metrics: Sequence[str],
        repeats: int,
        ledger: Ledger,
        suite_seconds: float,
    ) -> None:
        self._items = [
            Item(repeat, todo)
            for repeat in range(repeats)
            for block in _blocks(cases)
            if (todo := _lacking(block, metrics, repeat, ledger))
        ]
        self.total = sum(len(names) for item in self._items for names in item.todo.values())
        self._ends_at = time.monotonic() + suite_seconds
        self._took: dict[str, float] = {}
        self._ahead: list[Item] = []

    def __iter__(self) -> Iterator[Item]:
        """Each item in turn; how long it took until the next was asked for is remembered."""
        for index, item in enumerate(self._items):
            self._ahead = self._items[index:]
            began = time.monotonic()
            yield item
            self._took[item.name] = time.monotonic() - began
        self._ahead = []

    def affords(self, item: Item) -> bool:
        """Whether the item, if it takes what it took before, ends within the suite's budget."""
        return self._expected(item) <= self._seconds_of_budget()

    def seconds_left(self) -> float | None:
        """An estimate, never more than the budget leaves; None before anything was measured."""
        if not self._took:
            return None
        ahead = sum(self._expected(item) for item in self._ahead)
        return max(0.0, min(ahead, self._seconds_of_budget()))

    def _expected(self, item: Item) -> float:
        """What this block took in an earlier repeat; else what a block took on average."""
        if item.name in self._took:
            return self._took[item.name]
        return sum(self._took.values()) / len(self._took) if self._took else 0.0

    def _seconds_of_budget(self) -> float:
        return self._ends_at - time.monotonic()


def _lacking(block: Sequence[Case], metrics: Sequence[str], repeat: int, ledger: Ledger) -> Todo:
    lacking = {case.id: [m for m in metrics if ledger.lacks(case, m, repeat)] for case in block}
    return {id: names for id, names in lacking.items() if names}


def _blocks(cases: Sequence[Case]) -> list[list[Case]]:
    """Cases of one shape, dtype, device and mode together, in the order of their first."""
    blocks: dict[str, list[Case]] = {}
    for case in cases:
        blocks.setdefault(case.block, []).append(case)
    return list(blocks.values())
