"""Records as they lie on disk: the good ones, the damaged lines, the newest of each key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import ValidationError

from softbench.case import Record

FILE = "records.jsonl"
DAMAGED = "records.damaged.jsonl"


class RecordsError(Exception):
    """A results folder that cannot be used as it is; the message is one line."""


def read(folder: Path) -> list[Record]:
    """Every record in the folder, oldest first. Raises RecordsError naming a damaged line."""
    good, damaged = examine(folder)
    if damaged:
        number, why = damaged[0]
        raise RecordsError(
            f"{folder / FILE}, line {number}: {why} ({len(good)} good lines, {len(damaged)} "
            f"damaged, nothing changed); `softbench run SUITE --repair` sets damaged lines aside "
            f"in {DAMAGED} and measures what they held"
        )
    return good


def examine(folder: Path) -> tuple[list[Record], list[tuple[int, str]]]:
    """The good records, and (line number, what is wrong) of the others."""
    good: list[Record] = []
    damaged: list[tuple[int, str]] = []
    for number, line in enumerate(lines_of(folder / FILE), start=1):
        try:
            good.append(_parse(line))
        except ValueError as error:
            damaged.append((number, str(error)))
    return good, damaged


def latest(records: Iterable[Record]) -> list[Record]:
    """The last record of every key: measuring again with --fresh supersedes, deletes nothing."""
    return list({record.key: record for record in records}.values())


def of_newest_protocol(records: Sequence[Record]) -> list[Record]:
    """Records of the protocol that measured last: other rules, other numbers, other figure."""
    return [record for record in records if record.protocol == records[-1].protocol]


def lines_of(path: Path) -> list[bytes]:
    """Every line with its end; none of a file that is not there."""
    return path.read_bytes().splitlines(keepends=True) if path.exists() else []


def _parse(line: bytes) -> Record:
    if not line.endswith(b"\n"):
        raise ValueError("cut off in the middle")
    try:
        record = Record.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"not a record: {where + ': ' if where else ''}{first['msg']}") from None
    if record.id != record.content_id():
        raise ValueError(f"edited by hand: its content no longer has the id {record.id}")
    return record
