"""The commands `softbench train` and `softbench evaluate`. Each imports what it needs inside."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from softbench.cli.options import AsJson

RecipeName = Annotated[
    str, typer.Argument(help="A recipe file, or the name of one that is packaged.")
]
DataPath = Annotated[Path, typer.Option("--data", help="The data set's folder.")]
Changes = Annotated[
    list[str], typer.Option("--set", help="Change the recipe: model=soft_medium, data.workers=16.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1.")]


def train(
    recipe: RecipeName,
    data: DataPath,
    out: Annotated[
        Path | None, typer.Option(help="Where checkpoints and the log go; training/MODEL.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint.")
    ] = False,
    changes: Changes = [],
    device: Device = "auto",
) -> None:
    """Train a model by a recipe, alone or under torchrun.

    Ends with code 2 for bad input (a broken image is named), 4 where the loss is no longer finite,
    130 if interrupted: --resume then goes on from the last checkpoint as if nothing had happened.
    """
    from softbench.cli.training import Options, train_recipe

    raise typer.Exit(train_recipe(recipe, data, Options(out, resume, changes, device)))


def evaluate(
    checkpoint: Annotated[
        Path, typer.Argument(help="best.pt, last.pt, another's .pth, a .safetensors.")
    ],
    data: DataPath,
    model: Annotated[str, typer.Option(help="timm's name, where the file does not say it.")] = "",
    changes: Changes = [],
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Print top-1 and top-5 of a checkpoint.

    Of its weights and of their moving average: one centre crop of every validation image.
    """
    from softbench.cli.training import evaluate_checkpoint

    given = [*([f"model={model}"] if model else []), *changes]
    raise typer.Exit(evaluate_checkpoint(checkpoint, data, given, device, as_json=as_json))
