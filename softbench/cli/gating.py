"""`softbench gate`: from what was typed to an outcome, its pages and its exit code."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from softbench.case import Case
from softbench.cli.choosing import Choice, choose
from softbench.cli.display import note
from softbench.cli.ending import BadInputError
from softbench.cli.gate_sides import Opposed, Sides, opposed
from softbench.cli.running import check_devices, end_as_interrupted, invocation
from softbench.environment import Environment
from softbench.gate import baseline, checking, trees
from softbench.gate.counts import Plainly, counted, torch_of
from softbench.gate.earlier import of_the_base
from softbench.gate.naming import names
from softbench.gate.outcome import ERROR, FINE, Counted, Outcome, Policy, Timed, Trouble
from softbench.gate.publish import publish, write
from softbench.gate.terminal import lines
from softbench.gate.timing import Comparison, compare
from softbench.gate.words import counted as number_of
from softbench.run import Crew
from softbench.suite import expand


@dataclass(frozen=True)
class Options:
    """The options of `softbench gate` as given; sides: what to time, None if nothing."""

    sides: Sides | None
    layer: str | None
    baseline: Path | None
    update: bool
    inconclusive: Policy
    allowed: frozenset[str]
    markdown: Path | None
    junit: Path | None
    as_json: bool
    plugins: Sequence[Path]

    @property
    def counts(self) -> bool:
        """Whether counts are held against the baseline: of the softbench that runs, no other."""
        return self.layer != "timing" and (self.sides is None or self.sides.head_path is None)


def gate_suite(name: str, options: Options) -> int:
    """Compare, show, publish; the exit code of what was found."""
    end_as_interrupted()
    choice = choose(name, (), (), options.plugins)
    with Crew(Plainly(), choice.suite.protocol, choice.plugins) as crew, ExitStack() as stack:
        crew.hire()  # it imports torch while the mechanisms are read here
        sides = (
            stack.enter_context(opposed(options.sides, options.plugins)) if options.sides else None
        )
        expand(choice.suite, "cpu")
        environment = crew.environment()
        cases = expand(choice.suite, environment.auto_device)
        counts: checking.Counts | None = None
        failed: list[Trouble] = []
        if options.sides and options.sides.head_path is not None:
            note("counts are of the softbench that runs, so they are not held for --head-path")
        if options.counts:
            elsewhere = ["--baseline", str(options.baseline)] if options.baseline else []
            named = [name, *elsewhere]
            counts, failed = _counts(crew, cases, choice, torch_of(environment), named)
        crew.dismiss()
        if options.update:
            assert counts is not None  # the command line allows no other
            return _update(counts, failed, _baseline_of(choice, options))
        outcome = _outcome(choice, options, cases, environment, counts, failed, sides)
    return _shown(outcome, options)


def _counts(
    crew: Crew, cases: Sequence[Case], choice: Choice, torch: str, named: Sequence[str]
) -> tuple[checking.Counts, list[Trouble]]:
    """What the cases count here, and what could not be counted."""
    entries, failed = counted(crew, cases, choice.suite)
    counts = checking.Counts(
        suite=choice.suite,
        torch=torch,
        entries=entries,
        failed=frozenset(trouble.name for trouble in failed if trouble.name),
        remedy=shlex.join(["softbench", "gate", *named, "--update-baseline"]),
    )
    return counts, failed


def _outcome(
    choice: Choice,
    options: Options,
    cases: Sequence[Case],
    environment: Environment,
    counts: checking.Counts | None,
    failed: list[Trouble],
    sides: Opposed | None,
) -> Outcome:
    found: Counted | None = None
    timed: Timed | None = None
    troubles = list(failed)
    if counts is not None:
        found, differing = checking.check(counts, _baseline_of(choice, options))
        troubles += differing
    if sides is not None:
        check_devices(cases, environment)
        troubles += _dropped(choice, cases, environment, sides)
        named = names(cases)
        asked = Comparison(
            sides.base, sides.head, cases, choice.suite, named, sides.words, environment
        )
        timed, untimed = compare(asked, note)
        troubles += untimed
    now = invocation(choice.plugins)
    return Outcome(
        suite=choice.suite.name,
        command=now.command,
        commit=now.commit,
        inconclusive=options.inconclusive,
        counted=found,
        timed=timed,
        troubles=[one for one in troubles if one.kind not in options.allowed],
    )


def _dropped(
    choice: Choice, cases: Sequence[Case], environment: Environment, sides: Opposed
) -> list[Trouble]:
    """What the base's own suite file held and this one no longer does."""
    there = trees.same_place(choice.path, sides.homes, sides.base.root)
    if there is None:
        note(f"{sides.words[0]} has no {choice.path.name} there: lost cells are not looked for")
    if there is None or there == choice.path.resolve():
        return []
    return of_the_base(there, choice.suite, cases, environment.auto_device)


def _baseline_of(choice: Choice, options: Options) -> Path:
    return options.baseline or baseline.beside(choice.path)


def _update(counts: checking.Counts, failed: Sequence[Trouble], path: Path) -> int:
    """Write the baseline, unless a case could not be counted: it would be missing from it."""
    if failed:
        for trouble in failed:
            note(f"{trouble.name}: {trouble.reason}")
        note(f"{path} is left as it was: these could not be counted")
        return ERROR
    try:
        text = checking.updated(counts, path)
    except baseline.BaselineError as error:
        raise BadInputError(str(error)) from None
    before = path.read_text(encoding="utf-8") if path.exists() else None
    write(path, text)
    cases = number_of(len(counts.entries), "case")
    note(f"{path}: {'unchanged' if text == before else 'written'}, {cases}")
    return FINE


def _shown(outcome: Outcome, options: Options) -> int:
    """Say what was found, then write the pages: one that cannot be written hides nothing."""
    if options.as_json:
        told = outcome.model_dump(mode="json")
        told |= {"verdict": outcome.verdict, "code": outcome.code}
        print(json.dumps(told, indent=1, ensure_ascii=False))
    else:
        for line in lines(outcome):
            print(line)
    try:
        commands = publish(
            outcome,
            markdown_file=options.markdown,
            junit_file=options.junit,
            environment=os.environ,
        )
    except OSError as error:
        raise BadInputError(f"{error.filename}: {error.strerror}: not written") from None
    for command in commands:  # not where JSON goes: GitHub reads both
        print(command, file=sys.stderr)
    return outcome.code
