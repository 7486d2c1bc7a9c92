"""What a worker says it is in, and what it knew of it: one file, whole at every moment.

Mutants seen red: facts of another case, facts forgotten at the next turn, a shorter word that
leaves the end of a longer one, a count that stands.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from softbench.executors.local import LocalWorker
from softbench.worker.doing import LENGTH, Doing

CASE, OTHER = "a" * 16, "b" * 16
FACTS = {"s": 1.25e-05, "byte": 2**50 + 1, "free": 2**40, "cap": 2**39}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "doing"
    path.touch()
    return path


def said(file: Path) -> dict[str, Any]:
    """As the driver reads it."""
    worker = object.__new__(LocalWorker)
    worker._doing = file
    return worker.doing()


def test_a_case_is_said_with_what_was_known_of_it(file: Path) -> None:
    doing = Doing(file)
    doing.enter(CASE, "latency")
    assert said(file) == {"count": 1, "case": CASE, "metric": "latency", "known": {}}
    doing.know(CASE, FACTS)
    doing.enter(OTHER, "latency")
    assert said(file)["known"] == {}
    for count in (3, 4):
        doing.enter(CASE, "latency")
        assert said(file) == {"count": count, "case": CASE, "metric": "latency", "known": FACTS}


def test_a_shorter_word_leaves_nothing_of_a_longer_one(file: Path) -> None:
    doing = Doing(file)
    doing.know(CASE, FACTS)
    doing.enter(CASE, "predicted_peak_memory_of_a_long_name")
    assert len(file.read_bytes()) == LENGTH
    doing.enter(OTHER, "flops")
    assert json.loads(file.read_text()) == said(file)
    assert said(file)["metric"] == "flops"
    assert len(file.read_bytes()) == LENGTH
