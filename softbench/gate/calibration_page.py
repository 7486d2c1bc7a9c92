"""What a calibration found, as a page: Markdown that reads well as plain text too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from softbench.environment import Environment
from softbench.gate.calibrating import CHOSEN_BY, FOUND, SLOWED, TRIED, Calibration
from softbench.gate.rules import Timing
from softbench.statistics.rate import clopper_pearson
from softbench.suite import Suite


def page(
    found: Calibration, suite: Suite, named: Sequence[str], rules: Timing, machine: Environment
) -> str:
    """The page; `named`: the cells' names in their order."""
    return "\n".join(
        [
            f"# What the gate finds here: {suite.name}",
            "",
            *_what(found, suite, rules, machine),
            "",
            *_rates(found, suite),
            "",
            *_cells(found, named),
            "",
        ]
    )


def _what(found: Calibration, suite: Suite, rules: Timing, machine: Environment) -> Iterator[str]:
    gate = suite.gate
    yield (
        f"Made by `softbench gate {suite.name} --calibrate --rounds {len(found.alarms)}`: "
        f"{len(found.alarms)} rounds on {machine.cpu}, {machine.cores} cores, torch "
        f"{machine.libraries['torch']}, {rules.threads} thread{'s' * (rules.threads > 1)}; in each "
        f"{rules.pairs} pairs of fresh processes, {rules.slots} slots of "
        f"{1e3 * rules.stretch_seconds:g} ms or more a cell. Slowed heads make 5, 10 and 20 % more "
        "calls than they are credited with. A regression is a cell slower than "
        f"{100 * gate.margin:g} %, with a nominal chance of {100 * gate.alpha:g} % of a false "
        "alarm anywhere in the suite; a pass excludes "
        f"{100 * gate.detect:g} %. A round took {min(found.seconds):.0f} to "
        f"{max(found.seconds):.0f} s, the 1-minute load was {min(found.loads):.1f} to "
        f"{max(found.loads):.1f}."
    )


def _rates(found: Calibration, suite: Suite) -> Iterator[str]:
    gate, later = suite.gate, found.alarms[TRIED:]
    yield "| | found | of | share | 95 % interval |"
    yield "|---|---:|---:|---:|---:|"
    yield _rate("false alarms, rounds with any", sum(found.alarms), len(found.alarms))
    yield _rate("of these in the later rounds", sum(later), len(later))
    looks = len(gate.looks)
    if looks > 1:
        told = f"false alarms, {looks} looks at up to {gate.max_pairs} pairs"
        yield _rate(told, sum(found.escalated), len(found.escalated))
    alike = [cell for row in found.verdicts for cell in row]
    yield _rate("identical cells left inconclusive", alike.count("inconclusive"), len(alike))
    for name in SLOWED:
        cells_RC = found.found[name]
        yield _rate(f"{_slowdown(name)} in one cell, any", int(cells_RC.sum()), cells_RC.size)
    yield from _judged_rates(found, looks)
    yield ""
    yield _how(found, suite)


def _judged_rates(found: Calibration, looks: int) -> Iterator[str]:
    """What later rounds found in the cells that the first rounds chose."""
    if not (found.later and found.judged):
        return
    kinds = [("in one that can be judged", found.found)]
    if looks > 1:
        kinds.append((f"the same, by the first of {looks} looks", found.found_first))
    for told, cells in kinds:
        for name in SLOWED:
            later_RC = cells[name][TRIED:, found.judged]
            yield _rate(f"{_slowdown(name)} {told}", int(later_RC.sum()), later_RC.size)


def _how(found: Calibration, suite: Suite) -> str:
    gate = suite.gate
    several = (
        f"A round is one look that spends all of alpha; the gate looks {len(gate.looks)} times, "
        f"the first time at {100 * gate.looks[gate.pairs]:.2g} %. Its looks are made of rounds put "
        "together, each with copies of its own: where a build lies in memory is drawn anew in each "
        "of them, and once in a gate. "
    )
    return (
        f"A cell can be judged if {_slowdown(CHOSEN_BY)} was found in {100 * FOUND:g} % of the "
        f"first {min(TRIED, len(found.alarms))} rounds; what is found in those is counted in the "
        f"{found.later} later ones. {several if len(gate.looks) > 1 else ''}The intervals (Clopper "
        "and Pearson) take trials as independent: cells of one round are not quite."
    )


def _rate(told: str, found: int, trials: int) -> str:
    if not trials:
        return f"| {told} | – | 0 | – | – |"
    low, high = clopper_pearson(found, trials)
    share = f"{100 * found / trials:.1f} %"
    return f"| {told} | {found} | {trials} | {share} | {100 * low:.1f} to {100 * high:.1f} % |"


def _cells(found: Calibration, named: Sequence[str]) -> Iterator[str]:
    heads = [f"{_slowdown(name)} found" for name in SLOWED]
    yield f"| cell | false alarms | {' | '.join(heads)} | scatter of a pair | can be judged |"
    yield f"|---|---:|{'---:|' * len(heads)}---:|---|"
    for cell, name in enumerate(named):
        alarms = sum(row[cell] == "regression" for row in found.verdicts)
        shares = [f"{100 * found.found[slowed][:, cell].mean():.0f} %" for slowed in SLOWED]
        judged = "yes" if cell in found.judged else "no"
        scatter = f"{100 * found.scatter[cell]:.1f} %"
        yield f"| {name} | {alarms} | {' | '.join(shares)} | {scatter} | {judged} |"


def _slowdown(name: str) -> str:
    return name.removeprefix("head").replace("%", " %")
