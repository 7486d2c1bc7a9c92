"""What a run says of itself while it runs, and what all its records have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from softbench.case import Record
from softbench.environment import Environment, Invocation
from softbench.protocol import Protocol

T = TypeVar("T")


@dataclass(frozen=True)
class Context:
    """What every record of one run has in common."""

    protocol: Protocol
    environment: Environment
    invocation: Invocation


@dataclass(frozen=True)
class Progress:
    """Where the run stands; `record` is the one just made. A cell is (case, metric, repeat)."""

    doing: str
    done: int
    total: int
    statuses: Counter[str]
    seconds_left: float | None
    record: Record | None


def in_turns(lanes: Sequence[Iterator[T]]) -> Iterator[T]:
    """What the lanes give, one of each in turn until all have ended."""
    left = list(lanes)
    while left:
        for lane in list(left):
            try:
                given = next(lane)
            except StopIteration:
                left.remove(lane)
                continue
            yield given
