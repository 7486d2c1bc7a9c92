"""Base against head in processes of their own: found, let pass, and what cannot be compared.

Mutants seen red: base and head swapped; the samples of all sides from one bench; a cell that fails
on the base alone told as failed; one that fails on the head let pass; unsupported on one side let
pass; the softbench that ran not looked at; versions not compared; the looks going on after a
regression; no trouble where no cell is left.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from gate_cases import case
from waiting_mechanism import BACKENDS, tree

from softbench.environment import Environment
from softbench.gate.naming import names
from softbench.gate.outcome import Timed, Trouble
from softbench.gate.sides import Side
from softbench.gate.timing import Comparison, compare
from softbench.suite import parse

pytestmark = pytest.mark.slow
HERE = Environment(
    system="Linux x86_64",
    cpu="a processor",
    cores=2,
    memory=2**30,
    gpus=[],
    driver=None,
    cuda=None,
    python="3.11.0",
    libraries={"torch": "2.11.0"},
    threads=1,
    softbench="0",
)


def side(name: str, folder: Path, **given: Any) -> Side:
    return Side(name, str(folder), plugins=(str(folder / "waiting.py"),), **given)


def compared(
    base: Side, head: Side, backends: tuple[str, ...] = BACKENDS, **gate: Any
) -> tuple[Timed | None, list[Trouble], list[str]]:
    """What is found, and what was said meanwhile."""
    rules = {"pairs": 6, "max_pairs": 6, **gate}
    raw = {"shape": {"seq_len": 16}, "attention": {"softmax": {}}, "metrics": ["flops"]}
    suite = parse(raw | {"gate": rules}, "given", "given")
    cases = [case("waiting", backend=backend) for backend in backends]
    told: list[str] = []
    asked = Comparison(base, head, cases, suite, names(cases), ("before", "after"), HERE)
    timed, troubles = compare(asked, told.append)
    return timed, troubles, told


def verdicts(timed: Timed | None) -> dict[str, str]:
    assert timed is not None
    return {cell.case.backend: cell.verdict for cell in timed.cells}


def test_a_slowdown_is_found_in_its_cell_alone_and_a_gain_passes(tmp_path: Path) -> None:
    base = side("base", tree(tmp_path / "base"))
    head = side("head", tree(tmp_path / "head", {"slower": 3e-3, "quicker": 1e-3}))
    timed, troubles, told = compared(base, head)
    assert verdicts(timed) | {"eager": "pass", "other": "pass"} == verdicts(timed)
    assert verdicts(timed)["slower"] == "regression"
    assert verdicts(timed)["quicker"] == "pass"
    assert troubles == []
    assert told == ["timing 4 cells, pairs 1 to 6"]
    assert timed is not None
    by_backend = {cell.case.backend: cell for cell in timed.cells}
    slower = by_backend["slower"]
    assert slower.ratio == pytest.approx(1.5, rel=0.15)
    assert slower.median_ratio == pytest.approx(1.5, rel=0.15)
    assert slower.low <= slower.ratio <= slower.high
    assert slower.base_seconds == pytest.approx(2e-3, rel=0.2)
    assert by_backend["quicker"].ratio == pytest.approx(0.5, rel=0.2)
    assert 1.02 < by_backend["eager"].detectable < 2
    assert (timed.base, timed.head, timed.pairs) == ("before", "after", 6)


def test_a_regression_ends_the_looks(tmp_path: Path) -> None:
    base = side("base", tree(tmp_path / "base"))
    head = side("head", tree(tmp_path / "head", {"slower": 4e-3}))
    timed, _, told = compared(base, head, ("slower",), pairs=8, max_pairs=24)
    assert verdicts(timed) == {"slower": "regression"}
    assert told == ["timing 1 cell, pairs 1 to 8"]


def test_each_cell_that_fails_is_told_and_the_others_are_timed(tmp_path: Path) -> None:
    base = tree(tmp_path / "base", does={"other": "is elsewhere"}, backends=("eager", "other"))
    does = {"slower": "fails", "other": "is elsewhere"}
    head = tree(tmp_path / "head", does=does)
    timed, troubles, _ = compared(side("base", base), side("head", head))
    assert verdicts(timed) == {"eager": "pass"}
    by_name = {trouble.name: trouble for trouble in troubles}
    assert len(by_name) == 2  # `other` has a meaning on neither side
    failed = by_name["waiting/slower N=16 forward"]
    assert failed.kind == "failed"
    assert "head: RuntimeError: it fails in two lines" in failed.reason
    new = by_name["waiting/quicker N=16 forward"]
    assert new.kind == "new"
    assert "base: UnknownNameError" in new.reason
    assert "--allow-new" in new.remedy


def test_what_is_unsupported_on_the_head_alone_has_failed(tmp_path: Path) -> None:
    base = side("base", tree(tmp_path / "base"))
    head = side("head", tree(tmp_path / "head", does={"eager": "is elsewhere"}))
    timed, (failed, nothing), _ = compared(base, head, ("eager",))
    assert timed is None
    assert (failed.kind, nothing.kind, nothing.name) == ("failed", "failed", None)
    assert "not on this device" in failed.reason
    assert nothing.reason == "no cell could be timed on both sides"


@pytest.mark.parametrize(
    ("does", "words"),
    [("dies", "head: ended with code 3"), ("dies later", "head: killed by SIGKILL")],
)
def test_a_process_that_dies_is_no_pass(tmp_path: Path, does: str, words: str) -> None:
    base = side("base", tree(tmp_path / "base"))
    head = side("head", tree(tmp_path / "head", does={"eager": does}))
    timed, troubles, _ = compared(base, head, ("eager",))
    assert timed is None
    assert words in troubles[0].reason


def test_another_softbench_than_the_trees_own_is_not_timed(tmp_path: Path) -> None:
    base, head = tree(tmp_path / "base"), tree(tmp_path / "head")
    (base / "softbench").mkdir()  # no package: the installed one is imported in its place
    timed, troubles, _ = compared(side("base", base), side("head", head), ("eager",))
    assert timed is None
    assert (troubles[0].kind, troubles[0].name) == ("environment", None)
    assert "not that of" in troubles[0].reason


@pytest.mark.parametrize(
    ("script", "kind", "words"),
    [
        (
            """echo '{"versions": {"python": "3.11.0", "torch": "1.0"}}'; cat > /dev/null""",
            "environment",
            "base has python 3.11.0 and torch 1.0",
        ),
        ("echo no torch >&2; exit 1", "failed", "could not start: no torch"),
    ],
)
def test_another_torch_or_none_is_told(tmp_path: Path, script: str, kind: str, words: str) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    head = side("head", tree(tmp_path / "head"))
    timed, troubles, _ = compared(Side("base", None, str(python)), head, ("eager",))
    assert timed is None
    assert troubles[0].kind == kind
    assert words in troubles[0].reason


def test_two_interpreters_of_one_version_are_two_stems(tmp_path: Path) -> None:
    link = tmp_path / "python"
    link.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    link.chmod(0o755)
    base = side("base", tree(tmp_path / "base"), python=str(link))
    timed, troubles, _ = compared(base, side("head", tree(tmp_path / "head")), ("eager",))
    assert verdicts(timed) == {"eager": "pass"}
    assert troubles == []
