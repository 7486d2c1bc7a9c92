"""`softbench run`: from a suite's name to records and reports, and the exit code."""

from __future__ import annotations

import importlib
import pkgutil
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from softbench import executors, plugins, records
from softbench.case import Case, Record, content_hash
from softbench.cli import folder as results
from softbench.cli.display import conclude, display, note
from softbench.environment import Environment, Invocation
from softbench.protocol import Protocol
from softbench.records import Store
from softbench.run import Context, Crew, Ledger, Run
from softbench.suite import Suite, SuiteError, expand, find, parse, read


@dataclass(frozen=True)
class Options:
    """The options of `softbench run` as given."""

    out: Path
    only: Sequence[str]
    changes: Sequence[str]
    executor: str
    plugins: Sequence[Path]
    fresh: bool
    repair: bool


def run_suite(name: str, options: Options) -> int:
    """Measure, draw, say where things lie; 0, or 4 if any case ended in an error."""
    signal.signal(signal.SIGTERM, _interrupt)
    path = find(name)
    raw = read(path, options.changes)
    suite = _narrowed(parse(raw, path.stem, str(path)), options.only)
    executor = _executor(options.executor)
    files = [(str(file.resolve()), plugins.file_hash(file)) for file in options.plugins]
    with Crew(executor, Protocol(), files) as crew:
        crew.hire()  # it imports torch while the mechanisms are read here
        expand(suite, "cpu")
        environment = crew.environment()
        cases = expand(suite, environment.auto_device)
        _check_devices(cases, environment)
        where = options.out / _folder_name(suite, cases, path, raw, environment) / environment.id
        with Store(where) as store:
            context = Context(Protocol(), environment, _invocation(files))
            known = _known(store, options, context)
            ledger = Ledger(known, suite.budget)
            narrowed = bool(options.changes or options.only)
            results.describe(where, suite, cases, environment, narrowed=narrowed)
            results.keep_suite(where, path, raw if narrowed else None)
            sweep = Run(suite, cases, crew, store, ledger, context)
            if not sweep.total:
                note(f"nothing to measure: all is recorded in {where}; --fresh measures it again")
            display(sweep.measure(), suite.name)
    return conclude(where)


def _folder_name(
    suite: Suite, cases: Sequence[Case], path: Path, raw: dict[str, Any], environment: Environment
) -> str:
    """The suite's name; where --set gave it cells that its file does not have, a name of its own.

    A figure is thus always that of the suite beside it.
    """
    as_written = expand(parse(read(path), path.stem, str(path)), environment.auto_device)
    if {case.id for case in cases} <= {case.id for case in as_written}:
        return suite.name
    return f"{suite.name}-{content_hash(raw, 8)}"


def _invocation(files: Sequence[tuple[str, str]]) -> Invocation:
    named = {Path(path).name: content for path, content in files}
    return Invocation.now(["softbench", *sys.argv[1:]], named)


def _known(store: Store, options: Options, context: Context) -> list[Record]:
    """What is measured already by these rules on this machine; nothing if all is to be fresh."""
    if options.repair:
        note(f"{records.repair(store.folder)} damaged lines set aside")
    found = records.latest(records.read(store.folder))
    mine = (context.protocol.id, context.environment.id)
    known = [record for record in found if (record.protocol, record.environment) == mine]
    known = _of_these_plugins(known, context.invocation, store.folder)
    if options.fresh:
        return []
    _warn_of_other_sources(known, context.invocation, store.folder)
    return known


def _of_these_plugins(known: Sequence[Record], now: Invocation, folder: Path) -> list[Record]:
    """Without what was measured of a plug-in mechanism whose file was another one then."""
    before = {past.id: past.plugins for past in results.invocations(folder)}
    return [
        record
        for record in known
        if (file := f"{record.case.attention}.py") not in now.plugins
        or before.get(record.invocation, {}).get(file) == now.plugins[file]
    ]


def _narrowed(suite: Suite, only: Sequence[str]) -> Suite:
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


def _executor(name: str) -> Any:
    known = [module.name for module in pkgutil.iter_modules(executors.__path__)]
    if name not in known:
        near = plugins.did_you_mean(name, known)
        raise plugins.UnknownNameError(f"no executor {name!r}; {near}")
    return importlib.import_module(f"softbench.executors.{name}")


def _check_devices(cases: Sequence[Case], environment: Environment) -> None:
    for device in dict.fromkeys(case.device for case in cases):
        if not environment.has(device):
            count = len(environment.gpus)
            there = f"{count} CUDA device{'s' * (count != 1)}" if count else "no CUDA device"
            raise SuiteError(f"device {device!r} is not here (this machine has {there}); use 'cpu'")


def _warn_of_other_sources(known: Sequence[Record], now: Invocation, folder: Path) -> None:
    """Records of other code are reused, but not silently."""
    sources = {past.id: past.source for past in results.invocations(folder)}
    others = [r for r in known if sources.get(r.invocation) != now.source]
    if others:
        note(
            f"{len(others)} of {len(known)} records were measured by other code (another commit, "
            "change or plug-in file) and are kept; --fresh measures them again"
        )


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
