"""Append-only JSON lines: one record a line, written by one driver at a time, never rewritten.

Every line carries the hash of its own content, so that a line cut off or edited by hand is
found and named; the good lines around it stay as they are.
"""

from __future__ import annotations

import csv
import fcntl
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

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
    for number, line in enumerate(_lines(folder / FILE), start=1):
        try:
            good.append(_parse(line))
        except ValueError as error:
            damaged.append((number, str(error)))
    return good, damaged


def repair(folder: Path) -> int:
    """Move damaged lines to their own file beside the records; how many there were."""
    lines = _lines(folder / FILE)
    wrong = {number - 1 for number, _ in examine(folder)[1]}
    if wrong:
        aside = [line for index, line in enumerate(lines) if index in wrong]
        with (folder / DAMAGED).open("ab") as file:
            file.writelines(line.rstrip(b"\n") + b"\n" for line in aside)
        whole = folder / f"{FILE}.new"
        whole.write_bytes(b"".join(line for index, line in enumerate(lines) if index not in wrong))
        whole.replace(folder / FILE)
    return len(wrong)


def latest(records: Iterable[Record]) -> list[Record]:
    """The last record of every key: measuring again with --fresh supersedes, deletes nothing."""
    return list({record.key: record for record in records}.values())


def of_newest_protocol(records: Sequence[Record]) -> list[Record]:
    """Records of the protocol that measured last: other rules, other numbers, other figure."""
    return [record for record in records if record.protocol == records[-1].protocol]


def export(records: Iterable[Record], file: IO[str], form: str) -> None:
    """Write records as "csv" (one row a raw value) or "json" (one array)."""
    if form == "json":
        json.dump([_plain(record) for record in records], file, indent=1)
        return
    columns = ("case_id", "attention", "backend", "params", "level", "mode", "dtype", "device")
    sizes = ("batch_size", "num_heads", "seq_len", "head_dim")
    own = ("id", "metric", "unit", "better", "repeat", "status", "reason", "value", "sample")
    writer = csv.writer(file)
    writer.writerow([*columns, *sizes, *own])
    for record in records:
        case = _plain(record)["case"] | {"case_id": record.case.id}
        case["params"] = json.dumps(case["params"], sort_keys=True)
        left = [*(case[name] for name in columns), *(case["shape"][name] for name in sizes)]
        middle = [getattr(record, name) for name in own[:-2]]
        for sample, value in enumerate(record.values or [""]):
            writer.writerow([*left, *middle, value, sample])


class Store:
    """A results folder held by this process alone. Raises RecordsError if another holds it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = (folder / ".lock").open("a")
            (folder / FILE).open("ab").close()
        except OSError as error:
            raise RecordsError(f"cannot write in {folder}: {error.strerror}") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.close()
            raise RecordsError(f"another run holds {folder}; wait for it or use --out") from None

    def append(self, record: Record) -> None:
        """One line in one write, so that a kill leaves either all of it or nothing.

        The file is opened each time: `repair` puts another one in its place.
        """
        with (self.folder / FILE).open("ab", buffering=0) as file:
            file.write(_line(_plain(record)))

    def append_invocation(self, invocation: dict[str, Any]) -> None:
        """One line more in invocations.jsonl."""
        with (self.folder / "invocations.jsonl").open("ab") as file:
            file.write(_line(invocation))

    def close(self) -> None:
        """Let the folder go."""
        self._lock.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _lines(path: Path) -> list[bytes]:
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


def _plain(record: Record) -> dict[str, Any]:
    return record.model_dump(mode="json", by_alias=True)


def _line(content: dict[str, Any]) -> bytes:
    return json.dumps(content, separators=(",", ":"), allow_nan=False).encode() + b"\n"
