"""How things are measured, as data: versioned and hashed into every record.

Source of the rules: docs of the pitfalls of existing harnesses, gathered in the README under
"How it is measured". Version 2 names what version 1 did without saying so (the order of the cases,
the policy for TF32) and adds the sentinel.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from softbench.case import Value, content_hash

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]


class Protocol(Value):
    """The measuring rules of one run; `id` changes with any of them."""

    version: Literal[2] = 2
    threads: Annotated[int, Field(ge=1, description="fixed number of torch threads")] = 1
    order: Literal["random every round"] = "random every round"
    stretch_seconds: Annotated[Seconds, Field(description="shortest timed stretch")] = 2e-3
    warmup_seconds: Annotated[Seconds, Field(description="cap on a case's warm-up")] = 0.5
    warmup_agreement: Annotated[
        Fraction, Field(description="warm-up ends when two stretches differ by less")
    ] = 0.05
    sample_seconds: Annotated[Seconds, Field(description="timed seconds a case may use")] = 0.3
    slow_seconds: Annotated[
        Seconds, Field(description="timed seconds that a slow case may use to reach three calls")
    ] = 3.0
    min_stretches: Annotated[int, Field(ge=3, description="fewest stretches before a stop")] = 10
    target_width: Annotated[
        Fraction, Field(description="stop when the interval of the median is this narrow")
    ] = 0.01
    sentinel_seconds: Annotated[
        Seconds, Field(description="shortest time between two readings of the sentinel")
    ] = 0.5
    sentinel_tolerance: Annotated[
        Fraction, Field(description="a sentinel further than this from its reference has drifted")
    ] = 0.1
    float32_matmul: Literal["highest"] = "highest"
    tf32: Annotated[Literal[False], Field(description="TF32 in products and convolutions")] = False
    flush_l2: Annotated[bool, Field(description="on CUDA, overwrite the L2 before a call")] = True

    @property
    def id(self) -> str:
        """Twelve hex digits that change with any rule."""
        return content_hash(self.model_dump(mode="json"), 12)
