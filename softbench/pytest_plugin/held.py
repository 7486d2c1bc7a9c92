"""The counts of a suite's cases, taken once when the first is needed, and held to a baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from softbench.case import Case
from softbench.gate import baseline as files
from softbench.gate.baseline import BaselineError, Entry
from softbench.gate.counts import count
from softbench.gate.differing import changes, troubles
from softbench.gate.words import from_to, operators
from softbench.suite import Suite


class NotHeld(Exception):  # noqa: N818 - a finding about a case
    """A case's counts are not those of the baseline, or cannot be taken; the message says which."""


class Held:
    """The counts of a suite's cases by their names, and those that they must have."""

    def __init__(
        self, suite: Suite, cases: Sequence[Case], named: Mapping[str, str], plugins: Sequence[Path]
    ) -> None:
        self._suite, self._cases, self._named = suite, cases, named
        self._plugins = plugins
        self._known: Mapping[str, Entry] | None = None
        self._unusable: BaselineError | None = None
        self._found: tuple[str, dict[str, Entry], dict[str, str]] | None = None

    def hold_to(self, path: Path) -> list[str]:
        """Take what the counts must be from a baseline; the cases that it alone has.

        Raises BaselineError, also where it has none of this version of torch: then no case is held,
        and every `check` says so.
        """
        try:
            return self._taken(path)
        except BaselineError as error:
            self._unusable = error
            raise

    def _taken(self, path: Path) -> list[str]:
        import torch

        known, version = files.read(path), torch.__version__.partition("+")[0]
        if known.suite != self._suite.name:
            raise BaselineError(f"{path} is of the suite {known.suite!r}")
        if version not in known.torch:
            held = ", ".join(sorted(known.torch))
            remedy = f"softbench gate {self._suite.name} --update-baseline"
            raise BaselineError(
                f"{path} has counts under torch {held}; torch {version} is installed: {remedy}"
            )
        self._known = known.torch[version]
        return sorted(self._known.keys() - set(self._named.values()))

    def counts_of(self, name: str) -> dict[str, Any]:
        """What goes into extra_info. Raises NotHeld if the case could not be counted."""
        version, entry = self._counted(name)
        return {**entry.counts, "backend_ran": entry.ran, "torch": version}

    def check(self, name: str) -> None:
        """Raises NotHeld if the case's counts are not those of the baseline."""
        if self._unusable is not None:
            raise NotHeld(f"{name}: {self._unusable}")
        if self._known is None:
            return
        if name not in self._known:
            raise NotHeld(f"{name}: the baseline has no such case")
        entry = self._counted(name)[1]
        found, known = {name: entry}, {name: self._known[name]}
        told = [trouble.reason for trouble in troubles(found, known)]
        for change in changes(found, known, self._suite.gate.budgets.model_dump()):
            which = operators(change)
            told.append(f"{change.quantity} {from_to(change)}{f': {which}' if which else ''}")
        if told:
            raise NotHeld(f"{name}: {'; '.join(told)}")

    def refuse_if_supported_before(self, name: str) -> None:
        """An unsupported case is skipped, unless the baseline knows it as supported."""
        if self._known is not None and name in self._known:
            self.check(name)

    def _counted(self, name: str) -> tuple[str, Entry]:
        if self._found is None:
            hashed = [(str(file.resolve()), _hash(file)) for file in self._plugins]
            version, entries, failed = count(self._cases, self._suite, hashed)
            reasons = {trouble.name or "": trouble.reason for trouble in failed}
            self._found = (version, entries, reasons)
        version, entries, reasons = self._found
        if name not in entries:
            raise NotHeld(f"{name} could not be counted: {reasons.get(name, 'no reason given')}")
        return version, entries[name]


def _hash(file: Path) -> str:
    from softbench.plugins import file_hash

    return file_hash(file)
