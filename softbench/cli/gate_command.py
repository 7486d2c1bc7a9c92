"""The command `softbench gate`. It imports what it needs inside."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from softbench.cli.ending import BadInputError, explained
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
AllowRules = Annotated[
    bool, typer.Option("--allow-rules", help="Looser rules than the base's are fine.")
]
AllowRemoved = Annotated[
    bool, typer.Option("--allow-removed", help="Cells that the base alone has are fine.")
]
Markdown = Annotated[Path | None, typer.Option(help="Write a summary in Markdown here.")]
Junit = Annotated[Path | None, typer.Option(help="Write JUnit XML here.")]
Calibrate = Annotated[
    bool, typer.Option("--calibrate", help="Time identical and slowed heads instead.")
]
Rounds = Annotated[int | None, typer.Option(help="Rounds to have when calibrated; 60.")]
Kept = Annotated[
    Path | None, typer.Option(help="Rounds are kept in gate/SUITE/ENVIRONMENT/ there; results.")
]


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
    allow_rules: AllowRules = False,
    markdown: Markdown = None,
    junit: Junit = None,
    calibrate: Calibrate = False,
    rounds: Rounds = None,
    out: Kept = None,
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
    with _a_defect_is_no_regression():
        raise typer.Exit(_gated(suite, given))


def _gated(suite: str, given: dict[str, Any]) -> int:
    if given["calibrate"]:
        from softbench.cli.calibrating import calibrate_suite

        rounds, out = given["rounds"] or 60, given["out"] or Path("results")
        return calibrate_suite(suite, rounds, out, given["plugin"])
    from softbench.cli.gating import gate_suite

    return gate_suite(suite, _options(given))


@contextmanager
def _a_defect_is_no_regression() -> Iterator[None]:
    """What Python ends with code 1, a regression's, ends with code 4: nothing was compared."""
    try:
        yield
    except Exception as error:
        if isinstance(error, typer.Exit) or explained(error):
            raise
        if not isinstance(error, BrokenPipeError):  # nobody reads on: not fine, and nothing to say
            traceback.print_exc()
        raise typer.Exit(4) from None


def _options(given: dict[str, Any]) -> Any:
    """The options as the command keeps them."""
    from softbench.cli.gate_sides import Sides
    from softbench.cli.gating import Options

    timed = given["base"] is not None or given["base_path"] is not None
    kinds = {
        "new": given["allow_new"],
        "missing": given["allow_removed"],
        "loosened": given["allow_rules"],
    }
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
    shown = {name: given[name] for name in ("markdown", "junit", "as_json")}
    allowed = {name: given[name] for name in ("allow_new", "allow_removed", "allow_rules")}
    layer, baseline = given["layer"], given["baseline"]
    _one_of("--layer", layer or "counts", ("counts", "timing"))
    _one_of("--inconclusive", given["inconclusive"], ("fail", "pass", "warn"))
    if given["calibrate"]:
        counts = {"update_baseline": given["update_baseline"], "baseline": baseline}
        _refuse("--calibrate", **timed, **shown, **allowed, **counts, layer=layer)
        _at_least_one(given["rounds"])
    else:
        _refuse_without("--calibrate", rounds=given["rounds"], out=given["out"])
        if given["update_baseline"]:
            _refuse("--update-baseline", **timed, **shown, **allowed, layer=layer == "timing")
        elif layer == "counts":
            _refuse("--layer counts", **timed)
        else:
            _refuse_timing(given)


def _refuse_timing(given: dict[str, Any]) -> None:
    """What times needs something to time against, and what only times holds no counts."""
    timing_alone = given["layer"] == "timing" or given["head_path"] is not None
    if given["base"] is not None:
        _refuse("--base", base_path=given["base_path"])
    elif given["base_path"] is None and timing_alone:
        raise BadInputError("there is nothing to time against; give --base or --base-path")
    if timing_alone:
        option = "--layer timing" if given["layer"] == "timing" else "--head-path"
        _refuse(option, baseline=given["baseline"])


def _at_least_one(rounds: int | None) -> None:
    if rounds is not None and rounds < 1:
        raise BadInputError(f"--rounds {rounds}: at least 1")


def _one_of(option: str, given: str, known: tuple[str, ...]) -> None:
    from softbench.plugins import did_you_mean

    if given not in known:
        raise BadInputError(f"{option} {given}: {did_you_mean(given, known)}")


def _refuse_without(option: str, **others: object) -> None:
    """Refuse what has a meaning beside `option` alone."""
    for name, given in others.items():
        if given is not None:
            raise BadInputError(f"--{name} has a meaning beside {option} alone")


def _refuse(option: str, **others: object) -> None:
    """Options that have no meaning beside `option`."""
    for name, given in others.items():
        if given not in (None, False):
            other = name.removeprefix("as_").replace("_", "-")
            raise BadInputError(f"{option} and --{other} do not go together")
