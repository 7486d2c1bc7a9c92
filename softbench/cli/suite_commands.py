"""The commands that take a suite. Each imports what it needs inside."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from softbench.cli.options import (
    AsJson,
    Changes,
    DataRoot,
    Device,
    Only,
    Out,
    PluginFiles,
    SuiteName,
    adopt,
    all_changes,
    find_data_in,
)


def run(
    suite: SuiteName,
    out: Out = Path("results"),
    device: Device = None,
    only: Only = [],
    changes: Changes = [],
    data_root: DataRoot = None,
    executor: Annotated[str, typer.Option(help="Where the workers live.")] = "local",
    plugin: PluginFiles = [],
    fresh: Annotated[bool, typer.Option(help="Measure again what is recorded already.")] = False,
    repair: Annotated[bool, typer.Option(help="Set damaged lines of the records aside.")] = False,
) -> None:
    """Measure a suite and draw its reports.

    What is recorded already is not measured again. Ends with code 0 if every case ended in ok,
    unsupported, skipped, out_of_memory or timeout, 4 if any ended in an error, 2 on bad input, 130
    if interrupted.
    """
    from softbench.cli.running import Options, run_suite

    adopt(plugin)
    find_data_in(data_root)
    changes = all_changes(changes, device)
    options = Options(out, only, changes, executor, plugin, fresh=fresh, repair=repair)
    raise typer.Exit(run_suite(suite, options))


def plan(
    suite: SuiteName,
    out: Out = Path("results"),
    device: Device = None,
    only: Only = [],
    changes: Changes = [],
    data_root: DataRoot = None,
    plugin: PluginFiles = [],
    as_json: AsJson = False,
) -> None:
    """Tell what a run would cost and how long it would take.

    Case by case: FLOPs, memory, time, what will not fit. Nothing is measured but the machine's own
    rates, and nothing is written. With --json one object
    a case goes to standard output, and what is said of the whole run to standard error.
    """
    from softbench.cli.planning import plan_suite

    adopt(plugin)
    find_data_in(data_root)
    plan_suite(suite, out, only, all_changes(changes, device), plugin, as_json=as_json)
