"""The commands. Each imports what it needs inside, so that --help and list stay quick."""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from softbench import __version__
from softbench.cli.ending import exit_code
from softbench.cli.gate_command import gate
from softbench.cli.list_command import list_room, refuse_unknown_room
from softbench.cli.options import AsJson, PluginFiles, adopt
from softbench.cli.suite_commands import plan, run
from softbench.cli.train_command import evaluate, train

app = typer.Typer(
    help="The complexity and efficiency benchmarking suite for attention.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command line; without arguments it explains itself."""
    raise SystemExit(exit_code(lambda: app(sys.argv[1:] or ["--help"], standalone_mode=False)))


def _version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def softbench(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """The complexity and efficiency benchmarking suite for attention."""


app.command()(run)
app.command()(plan)
app.command()(gate)
app.command()(train)
app.command()(evaluate)
app.command("list")(list_room)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="A results folder, or one above it.")],
    name: Annotated[list[str], typer.Option("--report", help="Only this report.")] = [],
    plugin: PluginFiles = [],
) -> None:
    """Draw the reports of recorded results again.

    Nothing is measured, and torch is not needed.
    """
    from softbench.cli.display import note
    from softbench.cli.folder import draw, results_below

    adopt(plugin)
    for results in results_below(folder):
        for path in draw(results, note, tuple(name)):
            print(path)


@app.command()
def check(
    name: Annotated[str, typer.Argument(help="A plugin's name.")],
    room: Annotated[str, typer.Option(help="Its room, where two rooms have the name.")] = "",
    plugin: PluginFiles = [],
) -> None:
    """Hold a plugin to its room's contract.

    Ends with code 4 and one line a problem where it falls short.
    """
    from softbench import contract, plugins

    adopt(plugin)
    room = room or plugins.room_of(name)
    refuse_unknown_room(room, tuple(plugins.ROOMS))
    problems = contract.problems(room, name)
    for problem in problems:
        print(f"{room} {name}: {problem}")
    if problems:
        raise typer.Exit(4)
    print(f"{room} {name}: keeps its contract")


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="A results folder.")],
    form: Annotated[str, typer.Option("--format", help="csv or json.")] = "csv",
) -> None:
    """Print the records of a results folder.

    csv has one row a raw value, json one array; of what was measured again, the last alone.
    """
    from softbench import plugins, records
    from softbench.cli.folder import results_below

    if form not in ("csv", "json"):
        near = plugins.did_you_mean(form, ("csv", "json"))
        raise plugins.UnknownNameError(f"no format {form!r}; {near}")
    kept = [records.latest(records.read(results)) for results in results_below(folder)]
    records.export(itertools.chain(*kept), sys.stdout, form)


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="A results folder, or one above it.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another.")],
    as_json: AsJson = False,
) -> None:
    """Set two results folders side by side.

    Each cell's value in A and in B, their ratio with its 95 % interval, and which is better where
    that can be told. Times and memory of another machine or protocol are shown but not judged: code
    4. Else 0, whatever differs: it is no gate.
    """
    from softbench.cli.compared import as_json as machine_readable
    from softbench.cli.comparing import compare_folders
    from softbench.cli.side_by_side import lines

    found = compare_folders(a, b)
    if as_json:
        print(json.dumps(machine_readable(found), ensure_ascii=False, allow_nan=False))
    else:
        for line in lines(found):
            print(line)
    raise typer.Exit(4 if found.refused else 0)
