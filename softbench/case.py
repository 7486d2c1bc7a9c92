"""The values that flow through softbench: Shape, Case, Measurement and Record.

All are frozen and say what they refuse. Sizes are counts, times are seconds, memory is bytes.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_serializer, model_validator

Level = Literal["operator", "layer", "model"]
Mode = Literal["forward", "forward_backward"]
Dtype = Literal["float64", "float32", "bfloat16", "float16"]
Inputs = Literal["normal", "smooth"]
Better = Literal["lower", "higher"]
Status = Literal["ok", "unsupported", "skipped", "out_of_memory", "timeout", "error"]
Size = Annotated[int, Field(ge=1, le=2**40)]
Number = Annotated[int, Field()] | Annotated[float, Field(allow_inf_nan=False)]
CLOCKED = frozenset({"s", "image/s"})  # units of what is told by a clock
LENGTHS = frozenset({"image_size", "seq_len"})  # of a model: they set its tokens, nothing else


class Unsupported(Exception):  # noqa: N818 - a finding, not an error
    """This case has no meaning here (say why); it becomes a record, not a failure."""


class Value(BaseModel):
    """A frozen value that refuses fields it does not know and never converts silently."""

    # NaN and infinity stay what they are, so that the JSON they may not enter refuses them.
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, ser_json_inf_nan="constants"
    )


def content_hash(content: Any, length: int = 16) -> str:
    """The first `length` hex digits of the SHA-256 of `content` as canonical JSON."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:length]


class Shape(Value):
    """The sizes of one attention call: tensors are [batch_size, num_heads, seq_len, head_dim]."""

    batch_size: Size = 1
    num_heads: Size = 8
    seq_len: Size
    head_dim: Size = 64
    grid: tuple[Size, Size] | None = None

    @model_validator(mode="before")
    @classmethod
    def _lay_out(cls, given: Any) -> Any:
        """A grid may be written "28x56"; a square seq_len has its own; seq_len follows a grid."""
        if not isinstance(given, Mapping):
            return given
        fields = dict(given)
        if isinstance(fields.get("grid"), str):
            fields["grid"] = _parse_grid(fields["grid"])
        grid, seq_len = fields.get("grid"), fields.get("seq_len")
        if isinstance(grid, tuple) and seq_len is None:
            if all(isinstance(side, int) for side in grid):
                fields["seq_len"] = math.prod(grid)
        elif grid is None and isinstance(seq_len, int) and seq_len > 0:
            side = math.isqrt(seq_len)
            fields["grid"] = (side, side) if side * side == seq_len else None
        return fields

    @model_validator(mode="after")
    def _grid_holds_the_tokens(self) -> Shape:
        if self.grid is not None and math.prod(self.grid) != self.seq_len:
            grid, held = "x".join(map(str, self.grid)), math.prod(self.grid)
            raise ValueError(f"grid {grid} holds {held} tokens, seq_len is {self.seq_len}")
        return self

    @field_serializer("grid")
    def _write_grid(self, grid: tuple[int, int] | None) -> str | None:
        return None if grid is None else f"{grid[0]}x{grid[1]}"


def _parse_grid(text: str) -> tuple[int, int]:
    rows, _, columns = text.partition("x")
    if not (rows.isdecimal() and columns.isdecimal() and int(rows) and int(columns)):
        raise ValueError(f"grid {text!r} is not two positive whole numbers such as 28x56")
    return int(rows), int(columns)


class Case(Value):
    """All that reproduces one measurement; its content hash is the case id.

    model: its name and parameters, else None; `shape` is then that of the attention in its first
    block, and `params` those that the mechanism was given. task: how it is trained, else None.
    """

    level: Level
    attention: str
    params: dict[str, Any]
    backend: str
    shape: Shape
    model: dict[str, Any] | None = None
    task: dict[str, Any] | None = None
    inputs: Inputs
    dtype: Dtype
    device: str
    mode: Mode
    compile: bool
    seed: Annotated[int, Field(ge=0, lt=2**63)]

    @model_validator(mode="after")
    def _a_model_at_its_level(self) -> Case:
        deep = self.level == "model"
        for what, given, needed in (("model", self.model, deep), ("task", self.task, False)):
            if needed if given is None else not (deep and "name" in given):
                raise ValueError(f"a {what}, with a name, goes with level model; here {given}")
        return self

    @property
    def id(self) -> str:
        """Sixteen hex digits that change with anything in the case."""
        return content_hash(self.model_dump(mode="json"))

    @property
    def block(self) -> str:
        """The id of the cases measured interleaved: one model, shape, dtype, device and mode."""
        alike = self.model_dump(mode="json", include={"level", "shape", "dtype", "device", "mode"})
        alike |= {"model": self.model} if self.model else {}
        return self.id if self.task else content_hash(alike)  # trainings take no turns

    @property
    def family(self) -> str:
        """The id of all cases that differ from this one in length alone."""
        alike = self.model_dump(mode="json", exclude={"seed", "shape"}) | {"model": self.body}
        sizes = self.shape.model_dump(include={"batch_size", "num_heads", "head_dim"})
        return content_hash(alike | {"shape": sizes})

    @property
    def label(self) -> str:
        """A short name for people: model, mechanism, backend, tokens, mode or task and seed."""
        model = f"{self.model['name']} " if self.model else ""
        last = f"{self.task['name']} seed {self.seed}" if self.task else self.mode
        return f"{model}{self.attention}/{self.backend} N={self.shape.seq_len} {last}"

    @property
    def body(self) -> dict[str, Any] | None:
        """The model whatever its length: its name and parameters but those of LENGTHS."""
        return self.model and {k: v for k, v in self.model.items() if k not in LENGTHS}


@dataclass(frozen=True)
class Measurement:
    """What a metric returns for one quantity: raw values (never a mean) and remarks."""

    values: list[int | float]
    detail: dict[str, Any] = field(default_factory=dict)


class Record(Value):
    """One (case, quantity, repeat) as measured, or why it was not."""

    version: Literal[1] = Field(default=1, alias="schema")
    id: str = ""
    case: Case
    metric: str
    unit: str
    better: Better
    repeat: Annotated[int, Field(ge=0)]
    values: list[Number]
    status: Status
    reason: str | None
    detail: dict[str, Any]
    environment: str
    protocol: str
    invocation: str

    @model_validator(mode="after")
    def _a_value_or_a_reason(self) -> Record:
        if self.status == "ok" and not self.values:
            raise ValueError(f"{self.metric}: status ok needs a value")
        if self.status != "ok" and not self.reason:
            raise ValueError(f"{self.metric}: status {self.status} needs a reason")
        return self

    @property
    def key(self) -> tuple[str, str, int, str, str]:
        """What makes a record the same measurement: the resume key."""
        return (self.case.id, self.metric, self.repeat, self.protocol, self.environment)

    def content_id(self) -> str:
        """The hash that `id` must equal: a record edited by hand no longer has it."""
        return content_hash(self.model_dump(mode="json", by_alias=True, exclude={"id"}))

    def sealed(self) -> Record:
        """This record with its id filled in."""
        return self.model_copy(update={"id": self.content_id()})
