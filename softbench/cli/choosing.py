"""Which suite a command means, narrowed as its options say, and what is recorded of it already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from softbench import plugins, records
from softbench.case import Case, Record, content_hash
from softbench.cli import folder as results
from softbench.environment import Environment, Invocation
from softbench.protocol import Protocol
from softbench.suite import Suite, SuiteError, expand, find, parse, read


@dataclass(frozen=True)
class Choice:
    """A suite as chosen on the command line; `raw` with its --set changes, `suite` narrowed too.

    plugins: the --plugin files with the hashes of their contents.
    """

    path: Path
    raw: dict[str, Any]
    suite: Suite
    plugins: list[tuple[str, str]]


def choose(
    name: str, only: Sequence[str], changes: Sequence[str], plugin_files: Sequence[Path]
) -> Choice:
    """The suite of that name or path. Raises SuiteError."""
    path = find(name)
    raw = read(path, changes)
    where = f"{path} with --set {' '.join(changes)}" if changes else str(path)
    suite = narrowed(parse(raw, path.stem, where), only)
    files = [(str(file.resolve()), plugins.file_hash(file)) for file in plugin_files]
    return Choice(path, raw, suite, files)


def folder_of(choice: Choice, cases: Sequence[Case], environment: Environment, out: Path) -> Path:
    """Where the results of `cases` lie: below `out` the suite's name, then the environment's id.

    Where --set gave it cells that its file does not have, the suite has a name of its own: a figure
    is always that of the suite beside it.
    """
    path, suite = choice.path, choice.suite
    as_written = expand(parse(read(path), path.stem, str(path)), environment.auto_device)
    in_file = {case.id for case in cases} <= {case.id for case in as_written}
    name = suite.name if in_file else f"{suite.name}-{content_hash(choice.raw, 8)}"
    return out / name / environment.id


def usable(
    folder: Path, protocol: Protocol, environment: Environment, now: Invocation
) -> list[Record]:
    """What is measured already by these rules, on this machine, of these plug-ins."""
    found = records.latest(records.read(folder))
    mine = (protocol.id, environment.id)
    known = [record for record in found if (record.protocol, record.environment) == mine]
    return _of_these_plugins(known, now, folder)


def narrowed(suite: Suite, only: Sequence[str]) -> Suite:
    """The suite with the mechanisms of --only alone."""
    if not only:
        return suite
    offered = dict.fromkeys(suite.attention)
    if "*" in offered:
        offered |= dict.fromkeys(plugins.names("attention"))
    kept = {}
    for name in only:
        if name not in offered or name == "*":
            options = [option for option in offered if option != "*"]
            near = plugins.did_you_mean(name, options)
            raise SuiteError(f"--only {name}: not in suite {suite.name}; {near}")
        kept[name] = suite.attention.get(name) or suite.attention["*"]
    return suite.model_copy(update={"attention": kept})


def _of_these_plugins(known: Sequence[Record], now: Invocation, folder: Path) -> list[Record]:
    """Without what was measured of a plug-in mechanism or model whose file was another then."""
    before = {past.id: past.plugins for past in results.invocations(folder)}
    return [
        record
        for record in known
        if all(
            before.get(record.invocation, {}).get(file) == now.plugins[file]
            for file in _files(record.case)
            if file in now.plugins
        )
    ]


def _files(case: Case) -> list[str]:
    """The names of files of which the case's numbers are, if they were given with --plugin."""
    return [f"{name}.py" for name in (case.attention, (case.model or {}).get("name")) if name]
