"""Points that may share a figure: all but mechanism, variant, mode and tokens is alike in them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from softbench.case import Mode, Record
from softbench.reports import _models
from softbench.reports._labels import order
from softbench.reports._points import Point, Series, points

MODES: tuple[Mode, ...] = ("forward", "forward_backward")
# What a figure holds fixed, each with how a file name says it.
FIXED = {
    "level": "{}",
    "device": "{}",
    "dtype": "{}",
    "batch_size": "B{}",
    "num_heads": "H{}",
    "head_dim": "D{}",
    "inputs": "{}",
    "model": "{}",
    "environment": "environment-{:.8}",
    "protocol": "protocol-{:.8}",
}
NOT_IN_A_NAME = str.maketrans(": ", "--")
# What a figure may hold fixed besides.
FURTHER = {"seq_len": "N{}", "mode": "{}", "num_landmarks": "M{}"}


@dataclass(frozen=True)
class Group:
    """The points of one figure, what they hold fixed, and the words that tell it from others."""

    fixed: dict[str, str | int]
    words: tuple[str, ...]
    points: tuple[Point, ...]
    records: tuple[Record, ...]

    @property
    def suffix(self) -> str:
        """The words as the end of a file's name."""
        return "".join(f"_{word}" for word in self.words).translate(NOT_IN_A_NAME)

    @property
    def series(self) -> list[Series]:
        """The lines, the core six first."""
        return sorted({point.series for point in self.points}, key=order)

    @property
    def modes(self) -> list[Mode]:
        """The modes that occur, forward first."""
        return [mode for mode in MODES if any(point.mode == mode for point in self.points)]

    def holds(self, quantity: str) -> bool:
        """Whether there is anything but "unsupported" to show of `quantity`."""
        return any(p.quantity == quantity and p.status != "unsupported" for p in self.points)


def groups(records: Sequence[Record], split: Sequence[str] = ()) -> list[Group]:
    """The figures that `records` make, named by what differs between them.

    split: names of FURTHER in which the records of one figure may not differ either. Raises
    ValueError if there is nothing to show.
    """
    if not records:
        raise ValueError("no records to report on: the results are empty; run the suite first")
    parts: dict[tuple[tuple[str, str | int], ...], list[Record]] = defaultdict(list)
    models = _models.names(record.case for record in records)
    for record in records:
        parts[tuple(_fixed(record, split, models).items())].append(record)
    telling = _telling([dict(part) for part in parts])
    ordered = sorted(parts.items(), key=lambda part: _by_size(part[0]))
    return [_group(dict(fixed), part, telling) for fixed, part in ordered]


def _by_size(fixed: Iterable[tuple[str, str | int]]) -> list[tuple[bool, int, str]]:
    """Sizes in the order of numbers, names in that of letters, a size before a name."""
    return [
        (isinstance(value, str), 0 if isinstance(value, str) else value, str(value))
        for _, value in fixed
    ]


def _group(fixed: dict[str, str | int], records: Sequence[Record], telling: Iterable[str]) -> Group:
    forms = FIXED | FURTHER
    words = tuple(forms[name].format(fixed[name]) for name in telling)
    return Group(fixed, words, tuple(points(records)), tuple(records))


def _fixed(record: Record, split: Sequence[str], models: Mapping[str, str]) -> dict[str, str | int]:
    """Of a record by name; its model only where some record has one."""
    case, shape = record.case, record.case.shape
    further: dict[str, str | int] = {
        "seq_len": shape.seq_len,
        "mode": case.mode,
        "num_landmarks": case.params.get("num_landmarks", ""),
    }
    return {
        "level": case.level,
        "device": case.device,
        "dtype": case.dtype,
        "batch_size": shape.batch_size,
        "num_heads": shape.num_heads,
        "head_dim": shape.head_dim,
        "inputs": case.inputs,
        **({"model": models.get(_models.key(case), "")} if models else {}),
        "environment": record.environment,
        "protocol": record.protocol,
        **{name: further[name] for name in split},
    }


def _telling(parts: Sequence[dict[str, str | int]]) -> list[str]:
    """The fixed things in which some parts differ."""
    return [name for name in parts[0] if len({str(part[name]) for part in parts}) > 1]
