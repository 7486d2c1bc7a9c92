"""`softbench gate --calibrate`: rounds on this machine, kept, and what they say of the gate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from softbench.case import Case
from softbench.cli.choosing import choose
from softbench.cli.display import note
from softbench.cli.ending import BadInputError
from softbench.cli.running import check_devices, end_as_interrupted
from softbench.environment import Environment
from softbench.executors import local
from softbench.gate import rounds as kept
from softbench.gate.calibrating import calibrated
from softbench.gate.calibration_page import page
from softbench.gate.failures import CellsFailed
from softbench.gate.naming import names
from softbench.gate.rounds import Round
from softbench.gate.rules import Timing
from softbench.run import Crew
from softbench.suite import expand

PAGE = "calibration.md"


def calibrate_suite(name: str, wanted: int, out: Path, plugins: Sequence[Path]) -> int:
    """Have `wanted` rounds, print and keep what they say; 0, or 4 where a cell fails."""
    end_as_interrupted()
    choice = choose(name, (), (), plugins)
    suite = choice.suite
    with Crew(local, suite.protocol, choice.plugins) as crew:
        crew.hire()
        expand(suite, "cpu")
        environment = crew.environment()
    cases = expand(suite, environment.auto_device)
    check_devices(cases, environment)
    rules = Timing.of(suite)
    folder = out / "gate" / suite.name / environment.id
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "environment.json").write_text(environment.model_dump_json(indent=1) + "\n")
    files = tuple(str(file.resolve()) for file in plugins)
    try:
        with kept.held(folder):
            found = _rounds(folder, wanted, cases, rules, environment, files)
    except CellsFailed as failed:
        note(str(failed))
        return 4
    except kept.FolderHeldError as error:
        raise BadInputError(str(error)) from None
    named = names(cases)
    text = page(
        calibrated(found, suite.gate), suite, [named[c.id] for c in cases], rules, environment
    )
    (folder / PAGE).write_text(text, encoding="utf-8")
    print(text, end="")
    print(folder / PAGE)
    return 0


def _rounds(
    folder: Path,
    wanted: int,
    cases: Sequence[Case],
    rules: Timing,
    environment: Environment,
    plugins: tuple[str, ...],
) -> list[Round]:
    """The rounds kept and those that are still wanted, each kept as soon as it is over."""
    found = kept.read(folder)
    _refuse_others(found, cases, rules, folder)
    while len(found) < wanted:
        one = kept.run_round(len(found), cases, rules, environment.id, plugins)
        kept.append(one, folder)
        found.append(one)
        note(f"round {len(found)} of {wanted}, {one.seconds:.0f} s")
    return found


def _refuse_others(
    found: Sequence[Round], cases: Sequence[Case], rules: Timing, folder: Path
) -> None:
    """Rounds of other cells or rules are not of this calibration; of other commits, told."""
    cells = [case.id for case in cases]
    commits = sorted({str(one.invocation.commit)[:7] for one in found})
    if len(commits) > 1:
        note(f"{folder / kept.FILE}: rounds of the commits {', '.join(commits)}, taken together")
    for one in found:
        if one.cells != cells or one.timing != rules:
            raise BadInputError(
                f"{folder / kept.FILE}: its rounds are of other cells or rules than the suite's "
                "now; give another --out, or move them away"
            )
