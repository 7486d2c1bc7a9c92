"""The suite file as a value: which keys there are, which may be lists, what each may hold."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from softbench.case import Case, Dtype, Inputs, Level, Mode, Size, Value
from softbench.plugins import did_you_mean
from softbench.protocol import Fraction, Protocol, Seconds
from softbench.suite.gating import Gate

T = TypeVar("T")
Seed = Annotated[int, Field(ge=0, lt=2**63)]


def _as_axis(given: Any) -> Any:
    """A scalar is an axis of one; {pow2: [8, 10]} is 256, 512, 1024."""
    if isinstance(given, dict) and set(given) == {"pow2"}:
        bounds = given["pow2"]
        whole = isinstance(bounds, list) and all(type(bound) is int for bound in bounds)
        if not whole or len(bounds) != 2 or not 0 <= bounds[0] <= bounds[1] <= 40:
            raise ValueError(f"pow2 takes two exponents such as [8, 16], not {bounds!r}")
        return [2**exponent for exponent in range(bounds[0], bounds[1] + 1)]
    if isinstance(given, list) and not given:
        raise ValueError("an axis needs at least one value; this list is empty")
    return given if isinstance(given, list) else [given]


Axis = Annotated[list[T], BeforeValidator(_as_axis)]


def _as_lengths(given: Any) -> Any:
    """An axis that may be empty, so that `--set predict_seq_len=[]` takes it away."""
    return [] if given in (None, []) else _as_axis(given)


Lengths = Annotated[list[Size], BeforeValidator(_as_lengths)]


def _is_device(given: str) -> str:
    if not re.fullmatch(r"auto|cpu|meta|cuda(:\d+)?", given):
        options = ["auto", "cpu", "cuda", "cuda:0", "meta"]
        raise ValueError(f"no device {given!r}; {did_you_mean(given, options)}")
    return given


Device = Annotated[str, AfterValidator(_is_device)]


class ShapeAxes(Value):
    """The sizes swept: any may be a list."""

    batch_size: Axis[Size] = [1]
    num_heads: Axis[Size] = [8]
    seq_len: Axis[Size] | None = None
    head_dim: Axis[Size] = [64]
    grid: Axis[str] | None = None


class Budget(Value):
    """What a run may cost; a cell predicted above it becomes a `skipped` record."""

    case_seconds: Seconds = 20
    suite_seconds: Seconds = 600
    memory_fraction: Fraction = 0.7


def _as_variants(given: Any) -> Any:
    """Nothing, a mapping, or a list of mappings: always a list of variants of axes."""
    variants = given if isinstance(given, list) else [given]
    for variant in variants:
        if not isinstance(variant, dict | None):
            raise ValueError(f"parameters are a mapping or a list of mappings, not {variant!r}")
    return [
        {key: _as_axis(value) for key, value in (variant or {}).items()} for variant in variants
    ]


Variants = Annotated[list[dict[str, list[Any]]], BeforeValidator(_as_variants), Field(min_length=1)]


def _as_named(given: Any) -> Any:
    """A name, and axes: which parameters a model or a task has is not known here."""
    if not isinstance(given, dict) or not isinstance(given.get("name"), str):
        raise ValueError(f"it is a mapping with one name, such as {{name: vit}}, not {given!r}")
    return {key: value if key == "name" else _as_axis(value) for key, value in given.items()}


Named = Annotated[dict[str, Any], BeforeValidator(_as_named)]


class Suite(Value):
    """A parsed suite: every axis a list, every default filled in, no mechanism imported yet."""

    name: str
    level: Level = "operator"
    shape: ShapeAxes = ShapeAxes()
    predict_seq_len: Lengths = []
    zip: list[dict[str, Any]] = []
    model: Named | None = None
    task: Named | None = None
    attention: Annotated[dict[str, Variants], Field(min_length=1)]
    inputs: Axis[Inputs] = ["normal"]
    dtype: Axis[Dtype | Literal["auto"]] = ["auto"]
    device: Axis[Device] = ["auto"]
    mode: Axis[Mode] = ["forward"]
    compile: Axis[bool] = [False]
    seed: Axis[Seed] = [0]
    repeats: Annotated[int, Field(ge=1, le=1000)] = 3
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    budget: Budget = Budget()
    gate: Gate = Gate()
    metrics: Annotated[list[str], Field(min_length=1)]
    reports: list[str] = []

    @property
    def protocol(self) -> Protocol:
        """The measuring rules with the suite's number of threads."""
        return Protocol(threads=self.threads)

    def runs(self, case: Case) -> bool:
        """Whether anything runs at the case's length: at some, costs are only predicted."""
        return case.shape.seq_len not in self.predict_seq_len

    @model_validator(mode="after")
    def _a_model_goes_with_its_level(self) -> Suite:
        """A model says all sizes but the batch's, and draws its own inputs."""
        if self.level != "model":
            for key in ("model", "task"):
                if getattr(self, key) is not None:
                    said = f"it goes with level model, not with level {self.level}"
                    raise ValueError(f"{key}: {said}")
            return self
        if self.model is None:
            raise ValueError("level model needs the key model, such as {name: vit}")
        for size in sorted(self.shape.model_fields_set - {"batch_size"}):
            raise ValueError(f"shape.{size}: at level model the model says it; give batch_size")
        if self.inputs != ["normal"]:
            raise ValueError("inputs: a model draws its own; only the other levels have a choice")
        return self

    @model_validator(mode="after")
    def _a_length_is_measured_or_predicted(self) -> Suite:
        """At the lengths of `predict_seq_len` nothing runs; all else is as at the others.

        A model has its lengths from its parameters: there they are some of those.
        """
        if not self.predict_seq_len or self.level == "model":
            return self
        measured = self.shape.seq_len
        if measured is None or self.shape.grid is not None:
            raise ValueError("predict_seq_len goes with the lengths of shape.seq_len, and no grid")
        for length in self.predict_seq_len:
            if length in measured:
                raise ValueError(f"{length} is in shape.seq_len and in predict_seq_len; take one")
        return self

    @model_validator(mode="after")
    def _zip_keys_stand_once(self) -> Suite:
        """What varies in `zip` may not be given elsewhere: one of the two would be ignored."""
        rows = self.zip
        if any(set(row) != set(rows[0]) for row in rows):
            raise ValueError("every row of zip must hold the same keys")
        for key in rows[0] if rows else ():
            room, _, last = key.rpartition(".")
            if not self._zippable(room, last):
                options = [*_ZIPPABLE[""], *(f"shape.{size}" for size in _ZIPPABLE["shape"])]
                raise ValueError(f"zip cannot vary {key!r}; {did_you_mean(key, options)}")
            if last in self._given(room):
                raise ValueError(f"{key} is set twice: in zip and by itself")
        return self

    def _zippable(self, room: str, last: str) -> bool:
        named = room in ("model", "task") and getattr(self, room) is not None
        return last in _ZIPPABLE.get(room, ()) or named

    def _given(self, room: str) -> Collection[str]:
        """The keys that stand in the suite beside `zip`, at the top or in a room."""
        rooms = {"": self.model_fields_set, "shape": self.shape.model_fields_set}
        return {**rooms, "model": set(self.model or ()), "task": set(self.task or ())}[room]


_ZIPPABLE = {
    "": ("inputs", "dtype", "device", "mode", "compile", "seed"),
    "shape": tuple(ShapeAxes.model_fields),
}
