"""How two sides are timed against each other, as data: versioned and hashed into every round."""

from __future__ import annotations

import os
from typing import Annotated, Literal

from pydantic import Field

from softbench.case import Value, content_hash
from softbench.protocol import Seconds
from softbench.suite import Suite


class Timing(Value):
    """The measuring rules of one comparison; `id` changes with any of them."""

    version: Literal[1] = 1
    threads: Annotated[int, Field(ge=1, description="fixed number of torch threads")] = 1
    pairs: Annotated[int, Field(ge=1, description="pairs of fresh processes")] = 12
    slots: Annotated[int, Field(ge=1, description="timed stretches of a cell in a process")] = 8
    stretch_seconds: Annotated[Seconds, Field(description="shortest timed stretch")] = 2e-3
    pinned: Annotated[bool, Field(description="both processes of a pair on one core")] = True

    @classmethod
    def of(cls, suite: Suite) -> Timing:
        """The rules for a suite. A core is enough for one thread, where cores can be chosen."""
        alone = suite.threads == 1 and hasattr(os, "sched_setaffinity")
        return cls(threads=suite.threads, pairs=suite.gate.pairs, pinned=alone)

    @property
    def id(self) -> str:
        """Twelve hex digits that change with any rule."""
        return content_hash(self.model_dump(mode="json"), 12)
