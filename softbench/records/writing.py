"""The folder that one driver holds: lines appended in one write, damaged ones set aside."""

from __future__ import annotations

import fcntl
import json
import os
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any

from softbench.case import Record
from softbench.records.reading import DAMAGED, FILE, RecordsError, examine, lines_of


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
        """One line more in the records. Raises RecordsError if the disk does not take all of it.

        The file is opened each time: `repair` puts another one in its place.
        """
        _append(self.folder / FILE, _line(record.model_dump(mode="json", by_alias=True)))

    def append_invocation(self, invocation: dict[str, Any]) -> None:
        """One line more in invocations.jsonl. Raises RecordsError as `append` does."""
        _append(self.folder / "invocations.jsonl", _line(invocation))

    def keep(self, name: str, content: dict[str, Any]) -> None:
        """A JSON file beside the records, all of it or as it was. Raises RecordsError."""
        whole = self.folder / f"{name}.new"
        whole.unlink(missing_ok=True)
        _append(whole, json.dumps(content, indent=1, allow_nan=False).encode() + b"\n")
        whole.replace(self.folder / name)

    def kept(self, name: str) -> dict[str, Any]:
        """What `keep` wrote under that name; empty where nothing was, or something else is."""
        try:
            found = json.loads((self.folder / name).read_bytes())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

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


def repair(folder: Path) -> int:
    """Move damaged lines to their own file beside the records; how many there were."""
    lines = lines_of(folder / FILE)
    wrong = {number - 1 for number, _ in examine(folder)[1]}
    if wrong:
        aside = [line for index, line in enumerate(lines) if index in wrong]
        _append(folder / DAMAGED, b"".join(line.rstrip(b"\n") + b"\n" for line in aside))
        kept = b"".join(line for index, line in enumerate(lines) if index not in wrong)
        whole = folder / f"{FILE}.new"
        whole.unlink(missing_ok=True)
        _append(whole, kept)
        whole.replace(folder / FILE)
    return len(wrong)


def _append(path: Path, content: bytes) -> None:
    """All of `content` at the file's end, or the file as it was and RecordsError.

    One write where the disk takes it in one. A kill in the midst of that may leave the beginning of
    a line, a whole number of pages: `read` refuses such a line and `repair` sets it aside.
    """
    try:
        with path.open("ab", buffering=0) as file:
            _write_whole(file, content)
    except OSError as error:
        raise RecordsError(
            f"cannot write {path}: {error.strerror}; what it held before is kept"
        ) from None


def _write_whole(file: FileIO, content: bytes) -> None:
    """A disk that fills up takes a part first and says why only when asked for the rest."""
    size = os.fstat(file.fileno()).st_size
    try:
        written = 0
        while written < len(content):
            written += file.write(content[written:])
    except BaseException:  # a Ctrl-C between the two writes too
        file.truncate(size)
        raise


def _line(content: dict[str, Any]) -> bytes:
    return json.dumps(content, separators=(",", ":"), allow_nan=False).encode() + b"\n"
