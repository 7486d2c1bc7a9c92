"""The index of pitfalls names tests that exist, one at least a pitfall.

Mutants seen red: a test renamed, a row without a test, a section left out, a test in another file.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
INDEX = ROOT / "results" / "validation" / "pitfalls.md"
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def rows() -> list[tuple[str, list[tuple[str, str]]]]:
    """Each pitfall with the tests named for it."""
    lines = [line for line in INDEX.read_text(encoding="utf-8").splitlines() if line[:2] == "| "]
    bodies = [line for line in lines if not line.startswith(("| Pitfall", "| :---"))]
    return [(line.split("|")[1].strip(), NAMED.findall(line)) for line in bodies]


def defined(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(("pitfall", "tests"), rows(), ids=[pitfall for pitfall, _ in rows()])
def test_a_pitfall_has_tests_and_they_exist(pitfall: str, tests: list[tuple[str, str]]) -> None:
    assert tests, f"nothing would fail if softbench had this: {pitfall}"
    missing = [f"{file}::{name}" for file, name in tests if name not in defined(file)]
    assert missing == []


@pytest.mark.parametrize(("section", "fewest"), [("FLOPs", 5), ("Memory", 9), ("Latency", 13)])
def test_no_section_is_left_out(section: str, fewest: int) -> None:
    part = INDEX.read_text(encoding="utf-8").partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    assert part.count("\n| ") - 2 >= fewest
