"""The machine under a figure is the one that measured, or none.

Mutants seen red: the hash not compared, the first GPU named for the second.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from synthetic_records import case, record

from softbench.case import content_hash
from softbench.reports import _machine, table

FACTS: dict[str, Any] = {
    "cpu": "Abacus 9",
    "threads": 2,
    "gpus": [{"name": "One"}, {"name": "Two"}],
}


def test_the_machine_that_measured_is_named_under_the_table(tmp_path: Path) -> None:
    (tmp_path / _machine.FILE).write_text(json.dumps(FACTS))
    own = [record(case(), environment=content_hash(FACTS, 12))]
    assert "cpu (Abacus 9), 2 threads, float32" in table.render(own, tmp_path)[0].read_text()
    other = [record(case(), environment="0" * 12)]
    assert "Abacus" not in table.render(other, tmp_path)[0].read_text()


@pytest.mark.parametrize("text", ["", "[]", "{", "null"])
def test_a_description_that_cannot_be_read_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / _machine.FILE).write_text(text)
    assert _machine.read(tmp_path, content_hash([], 12)) == {}


@pytest.mark.parametrize(
    ("name", "facts", "expected"),
    [
        ("cpu", {}, "cpu"),
        ("cpu", {"cpu": "Abacus 9", "threads": 1}, "cpu (Abacus 9), 1 thread"),
        ("cuda", FACTS, "cuda (One)"),
        ("cuda:1", FACTS, "cuda:1 (Two)"),
        ("cuda:7", FACTS, "cuda:7"),
        ("meta", FACTS, "meta"),
    ],
)
def test_a_device_is_named_as_far_as_it_is_known(
    name: str, facts: dict[str, Any], expected: str
) -> None:
    assert _machine.device(name, facts) == expected
