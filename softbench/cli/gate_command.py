"""The command `softbench gate`. It imports what it needs inside."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from softbench.cli.ending import BadInputError
from softbench.cli.options import AsJson, PluginFiles, SuiteName, adopt


def gate(
    suite: SuiteName,
    base: Annotated[str | None, typer.Option(help="A git revision to compare with.")] = None,
    base_path: Annotated[
        Path | None, typer.Option(help="A folder, wheel or virtual environment instead.")
    ] = None,
    head_path: Annotated[
        Path | None, typer.Option(help="The same for what is judged, if not what is here.")
    ] = None,
    layer: Annotated[str | None, typer.Option(help="Only counts, or only timing.")] = None,
    baseline: Annotated[
        Path | None, typer.Option(help="The file of counts, if not SUITE.baseline.json.")
    ] = None,
    update_baseline: Annotated[bool, typer.Option(help="Write that file anew.")] = False,
    inconclusive: Annotated[
        str, typer.Option(help="fail (code 3), warn or pass where nothing can be told.")
    ] = "fail",
    allow_new: Annotated[
        bool, typer.Option(help="Cells that the head alone has are fine.")
    ] = False,
    allow_removed: Annotated[
        bool, typer.Option(help="Cells that the base alone has are fine.")
    ] = False,
    markdown: Annotated[Path | None, typer.Option(help="Write the summary here.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML here.")] = None,
    calibrate: Annotated[
        bool, typer.Option(help="Time identical and slowed heads, and tell what the gate finds.")
    ] = False,
    rounds: Annotated[int, typer.Option(help="Rounds to have when calibrated.")] = 60,
    out: Annotated[Path, typer.Option(help="Where rounds are kept.")] = Path("results"),
    plugin: PluginFiles = [],
    as_json: AsJson = False,
) -> None:
    """Compare this tree with a base: counts exactly, times by pairs of processes.

    Counts are held against a committed baseline; times, with --base or --base-path, against that
    tree timed here and now. Ends with code 0 if all is fine, 1 for a regression, 2 for bad input, 3
    where nothing can be told, 4 if a cell is missing, renamed, failed or not to be compared.
    """
    from softbench.cli.gate_sides import Sides
    from softbench.cli.gating import Options, gate_suite

    timed = base is not None or base_path is not None
    _one_of("--layer", layer or "counts", ("counts", "timing"))
    if calibrate:
        _refuse("--calibrate", base=timed, head_path=head_path, update_baseline=update_baseline)
        _calibrate(suite, rounds, out, plugin)
    if base is not None:
        _refuse("--base", base_path=base_path)
    if update_baseline:
        _refuse("--update-baseline", base=timed, head_path=head_path, layer=layer == "timing")
    if layer == "counts":
        _refuse("--layer counts", base=timed, head_path=head_path)
    if not timed and (layer == "timing" or head_path is not None):
        raise BadInputError("there is nothing to time against; give --base or --base-path")
    adopt(plugin)
    kinds = {"new": allow_new, "missing": allow_removed}
    options = Options(
        sides=Sides(base, base_path, head_path) if timed else None,
        layer=layer,
        baseline=baseline,
        update=update_baseline,
        inconclusive=_policy(inconclusive),
        allowed=frozenset(kind for kind, allowed in kinds.items() if allowed),
        markdown=markdown,
        junit=junit,
        as_json=as_json,
        plugins=plugin,
    )
    raise typer.Exit(gate_suite(suite, options))


def _calibrate(suite: str, rounds: int, out: Path, plugin: list[Path]) -> None:
    """Rounds until there are so many, and what they say."""
    from softbench.cli.calibrating import calibrate_suite

    if rounds < 1:
        raise BadInputError(f"--rounds {rounds}: at least 1")
    adopt(plugin)
    raise typer.Exit(calibrate_suite(suite, rounds, out, plugin))


def _policy(given: str) -> Any:
    return _one_of("--inconclusive", given, ("fail", "warn", "pass"))


def _one_of(option: str, given: str, known: tuple[str, ...]) -> str:
    from softbench.plugins import did_you_mean

    if given not in known:
        raise BadInputError(f"{option} {given}: {did_you_mean(given, known)}")
    return given


def _refuse(option: str, **others: object) -> None:
    """Options that have no meaning beside `option`."""
    for name, given in others.items():
        if given:
            raise BadInputError(f"{option} and --{name.replace('_', '-')} do not go together")
