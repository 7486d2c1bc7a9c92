"""The command `softbench gate`. It imports what it needs inside."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from softbench.cli.ending import BadInputError
from softbench.cli.options import AsJson, PluginFiles, SuiteName, adopt

Base = Annotated[str | None, typer.Option(help="A git revision to compare with.")]
BasePath = Annotated[
    Path | None, typer.Option(help="A folder, wheel or virtual environment instead.")
]
HeadPath = Annotated[
    Path | None, typer.Option(help="The same for what is judged, if not what is here.")
]
Layer = Annotated[str | None, typer.Option(help="Only counts, or only timing.")]
Baseline = Annotated[
    Path | None, typer.Option(help="The file of counts, if not SUITE.baseline.json.")
]
UpdateBaseline = Annotated[bool, typer.Option("--update-baseline", help="Write that file anew.")]
Inconclusive = Annotated[
    str, typer.Option(help="Where nothing can be told: fail (code 3), warn or pass.")
]
AllowNew = Annotated[
    bool, typer.Option("--allow-new", help="Cells that the head alone has are fine.")
]
AllowRemoved = Annotated[
    bool, typer.Option("--allow-removed", help="Cells that the base alone has are fine.")
]
Markdown = Annotated[Path | None, typer.Option(help="Write a summary in Markdown here.")]
Junit = Annotated[Path | None, typer.Option(help="Write JUnit XML here.")]
Calibrate = Annotated[
    bool, typer.Option("--calibrate", help="Time identical and slowed heads instead.")
]
Rounds = Annotated[int, typer.Option(help="Rounds to have when calibrated.")]
Kept = Annotated[Path, typer.Option(help="Rounds are kept in gate/SUITE/ENVIRONMENT/ there.")]


def gate(
    suite: SuiteName,
    base: Base = None,
    base_path: BasePath = None,
    head_path: HeadPath = None,
    layer: Layer = None,
    baseline: Baseline = None,
    update_baseline: UpdateBaseline = False,
    inconclusive: Inconclusive = "fail",
    allow_new: AllowNew = False,
    allow_removed: AllowRemoved = False,
    markdown: Markdown = None,
    junit: Junit = None,
    calibrate: Calibrate = False,
    rounds: Rounds = 60,
    out: Kept = Path("results"),
    plugin: PluginFiles = [],
    as_json: AsJson = False,
) -> None:
    """Hold a change to its base, by counts and by times.

    Counts are held against a committed baseline; times, with --base or --base-path, against that
    tree timed here and now. Ends with code 0 if all is fine, 1 for a regression, 2 for bad input, 3
    where nothing can be told, 4 if a cell is missing, renamed, failed or not to be compared.
    """
    given = dict(locals())  # every option by its name
    _refuse_contradictions(given)
    adopt(plugin)
    if calibrate:
        from softbench.cli.calibrating import calibrate_suite

        raise typer.Exit(calibrate_suite(suite, rounds, out, plugin))
    from softbench.cli.gating import gate_suite

    raise typer.Exit(gate_suite(suite, _options(given)))


def _options(given: dict[str, Any]) -> Any:
    """The options as the command keeps them."""
    from softbench.cli.gate_sides import Sides
    from softbench.cli.gating import Options

    timed = given["base"] is not None or given["base_path"] is not None
    kinds = {"new": given["allow_new"], "missing": given["allow_removed"]}
    return Options(
        sides=Sides(given["base"], given["base_path"], given["head_path"]) if timed else None,
        update=given["update_baseline"],
        allowed=frozenset(kind for kind, allowed in kinds.items() if allowed),
        plugins=given["plugin"],
        **{
            name: given[name]
            for name in ("layer", "baseline", "inconclusive", "markdown", "junit", "as_json")
        },
    )


def _refuse_contradictions(given: dict[str, Any]) -> None:
    """Raises BadInputError for options that have no meaning, alone or beside each other."""
    timed = {name: given[name] for name in ("base", "base_path", "head_path")}
    layer = given["layer"]
    _one_of("--layer", layer or "counts", ("counts", "timing"))
    _one_of("--inconclusive", given["inconclusive"], ("fail", "pass", "warn"))
    if given["rounds"] < 1:
        raise BadInputError(f"--rounds {given['rounds']}: at least 1")
    if given["calibrate"]:
        _refuse("--calibrate", **timed, update_baseline=given["update_baseline"])
    elif given["update_baseline"]:
        _refuse("--update-baseline", **timed, layer=layer == "timing")
    elif layer == "counts":
        _refuse("--layer counts", **timed)
    elif given["base"] is not None:
        _refuse("--base", base_path=given["base_path"])
    elif given["base_path"] is None and (layer == "timing" or given["head_path"] is not None):
        raise BadInputError("there is nothing to time against; give --base or --base-path")


def _one_of(option: str, given: str, known: tuple[str, ...]) -> None:
    from softbench.plugins import did_you_mean

    if given not in known:
        raise BadInputError(f"{option} {given}: {did_you_mean(given, known)}")


def _refuse(option: str, **others: object) -> None:
    """Options that have no meaning beside `option`."""
    for name, given in others.items():
        if given not in (None, False):
            raise BadInputError(f"{option} and --{name.replace('_', '-')} do not go together")
