"""Sides that are meant to differ and ran the same code: seen, and nothing else is.

Mutants seen red: softbench alone compared; files alone compared; slowed heads taken for sides of
their own; only the base's strays looked at; a file in the side's own tree called astray; an
environment's own file called astray.
"""

from __future__ import annotations

from typing import Any

from softbench.gate.same_code import the_same_code
from softbench.gate.sides import Side

BASE, HEAD = Side("base", "/trees/base"), Side("head", "/trees/head")
ELSEWHERE = "/site/softbench/attention/soft.py"


def answer(softbench: str, *files: str | None) -> dict[str, Any]:
    return {"softbench": softbench, "files": list(files)}


def own(side: Side) -> str:
    return f"{side.root}/softbench/attention/soft.py"


def test_sides_of_their_own_trees_are_two() -> None:
    told = {side: answer(str(side.root), own(side), None) for side in (BASE, HEAD)}
    assert the_same_code(told) == []


def test_one_softbench_and_one_mechanism_are_one_code() -> None:
    told = {side: answer("/site", ELSEWHERE) for side in (BASE, HEAD)}
    (failure,) = the_same_code(told)
    assert (failure.side, failure.cell, failure.kind) == ("base", -1, "elsewhere")
    assert ELSEWHERE in failure.reason
    assert the_same_code({BASE: answer("/old", ELSEWHERE), HEAD: answer("/new", ELSEWHERE)}) == []


def test_a_mechanism_of_the_heads_tree_that_the_base_ran_too_is_told_by_its_cell() -> None:
    mine = f"{HEAD.root}/src/mine.py"
    told = {BASE: answer("/site", ELSEWHERE, mine), HEAD: answer("/site", own(HEAD), mine)}
    assert [(one.side, one.cell) for one in the_same_code(told)] == [("base", 0), ("base", 1)]
    assert mine in the_same_code(told)[1].reason


def test_the_heads_strays_are_told_as_well() -> None:
    told = {BASE: answer("/site", own(BASE)), HEAD: answer("/site", ELSEWHERE)}
    assert [(one.side, one.cell) for one in the_same_code(told)] == [("head", 0)]


def test_an_environment_runs_what_is_installed_in_it() -> None:
    installed = Side("base", None, "/venv/bin/python")
    told = {installed: answer("/venv", "/venv/mine.py"), HEAD: answer("/site", own(HEAD))}
    assert the_same_code(told) == []
    told[installed] = answer("/venv", own(HEAD))
    assert [one.side for one in the_same_code(told)] == ["base"]


def test_a_slowed_head_is_the_same_code_as_the_other_head() -> None:
    slowed = Side("head+5%", HEAD.root, extra=1)
    told = {side: answer(str(side.root), own(side)) for side in (BASE, HEAD, slowed)}
    assert the_same_code(told) == []
