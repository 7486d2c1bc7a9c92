"""`softbench run`: from a suite's name to records and reports, and the exit code."""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
import shutil
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from softbench import executors, plugins, records
from softbench.case import Case, Record
from softbench.cli import folder as results
from softbench.cli.choosing import choose, folder_of, usable
from softbench.cli.display import conclude, display, note
from softbench.environment import Environment, Invocation
from softbench.records import Store
from softbench.run import Context, Crew, Ledger, Run
from softbench.run.asking import KEPT
from softbench.suite import SuiteError, expand


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
    end_as_interrupted()
    choice = choose(name, options.only, options.changes, options.plugins)
    suite = choice.suite
    executor = _executor(options.executor)
    with contextlib.ExitStack() as stack:
        crews = [
            stack.enter_context(Crew(executor, suite.protocol, choice.plugins))
            for _ in range(suite.workers)
        ]
        crew = crews[0]
        for each in crews:
            each.hire()  # they import torch while the mechanisms are read here
        expand(suite, "cpu")
        environment = crew.environment()
        cases = expand(suite, environment.auto_device)
        check_devices(cases, environment)
        where = folder_of(choice, cases, environment, options.out)
        with Store(where) as store:
            context = Context(suite.protocol, environment, invocation(choice.plugins))
            known = _known(store, options, context)
            if options.fresh:
                shutil.rmtree(where / KEPT, ignore_errors=True)
            ledger = Ledger(known, suite.budget)
            narrowed = bool(options.changes or options.only)
            results.describe(where, suite, cases, environment, narrowed=narrowed)
            results.keep_suite(where, choice.path, choice.raw if narrowed else None)
            sweep = Run(suite, cases, crews, store, ledger, context)
            if not sweep.total:
                note(f"nothing to measure: all is recorded in {where}; --fresh measures it again")
            display(sweep.measure(), suite.name)
    return conclude(where)


def invocation(files: Sequence[tuple[str, str]]) -> Invocation:
    """This call of softbench, with the plug-in files that it was given."""
    named = {Path(path).name: content for path, content in files}
    return Invocation.now(["softbench", *sys.argv[1:]], named)


def _known(store: Store, options: Options, context: Context) -> list[Record]:
    """What is measured already by these rules on this machine; nothing if all is to be fresh."""
    if options.repair:
        note(f"{records.repair(store.folder)} damaged lines set aside")
    known = usable(store.folder, context.protocol, context.environment, context.invocation)
    if options.fresh:
        return []
    _warn_of_other_sources(known, context.invocation, store.folder)
    return known


def _executor(name: str) -> Any:
    known = [module.name for module in pkgutil.iter_modules(executors.__path__)]
    if name not in known:
        near = plugins.did_you_mean(name, known)
        raise plugins.UnknownNameError(f"no executor {name!r}; {near}")
    return importlib.import_module(f"softbench.executors.{name}")


def check_devices(cases: Sequence[Case], environment: Environment) -> None:
    """Raises SuiteError for a case on a device that this machine has not got."""
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


def end_as_interrupted() -> None:
    """Have a SIGTERM end this process as Ctrl-C does: nothing is left behind."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
