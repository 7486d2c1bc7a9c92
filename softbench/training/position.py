"""Where a training is, as data that a checkpoint keeps, and what is told of it on the way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from timm.utils.metrics import AverageMeter


@dataclass(frozen=True)
class Progress:
    """Where a training is: what was seen at its last look at the loss."""

    epoch: int
    update: int
    updates: int
    loss: float
    lr: float
    images_per_second: float
    seconds_left: float


@dataclass(frozen=True)
class Ended:
    """An epoch that ended: its row of the log."""

    row: dict[str, Any]
    seconds: float


@dataclass
class Position:
    """How far a training is: the next update, the epoch's losses so far, the log."""

    epoch: int = 0
    update: int = 0
    meter: AverageMeter = field(default_factory=AverageMeter)
    rows: list[dict[str, Any]] = field(default_factory=list)
    last_finite: str = "none was"

    def state(self) -> dict[str, Any]:
        """It as data."""
        seen = {"sum": self.meter.sum, "count": self.meter.count, "avg": self.meter.avg}
        return {**vars(self), "meter": seen, "rows": list(self.rows)}

    @classmethod
    def of(cls, state: dict[str, Any]) -> Position:
        """The position that a `state()` is of."""
        meter = AverageMeter()
        vars(meter).update(state["meter"])
        return cls(**{**state, "meter": meter})
