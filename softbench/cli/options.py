"""Arguments and options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from softbench.cli.ending import BadInputError

SuiteName = Annotated[
    str, typer.Argument(help="A suite file, or the name of one that is packaged.")
]
Out = Annotated[Path, typer.Option(help="Where SUITE/ENVIRONMENT/ is made.")]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1 or meta.")]
Only = Annotated[list[str], typer.Option(help="Only this mechanism; may be repeated.")]
Changes = Annotated[
    list[str], typer.Option("--set", help="Change the suite: shape.seq_len='[196, 784]'.")
]
PluginFiles = Annotated[
    list[Path], typer.Option("--plugin", help="A Python file that joins its room for this call.")
]
DataRoot = Annotated[
    Path | None,
    typer.Option(
        help="Where tasks find data of your own, such as Fashion-MNIST's files.",
        envvar="SOFTBENCH_DATA_ROOT",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a machine to read.")]


def adopt(files: list[Path]) -> None:
    """Let the --plugin files join their rooms. Raises BadInputError."""
    from softbench import plugins

    for file in files:
        try:
            plugins.adopt(file)
        except (ValueError, OSError) as error:
            raise BadInputError(str(error)) from None


def find_data_in(root: Path | None) -> None:
    """Tell the workers, which inherit the environment, where data are. Raises BadInputError."""
    if root is None:
        return
    if not root.is_dir():
        raise BadInputError(f"--data-root {root}: no such folder")
    os.environ["SOFTBENCH_DATA_ROOT"] = str(root.resolve())


def all_changes(changes: list[str], device: str | None) -> list[str]:
    """The --set changes, --device being one of them."""
    return [*changes, *([] if device is None else [f"device={device}"])]
