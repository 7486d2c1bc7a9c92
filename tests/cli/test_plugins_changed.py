"""What was measured of a plug-in whose file was another one then is no record of it any more.

Mutants seen red: the model's file not looked at, the mechanism's not looked at.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from softbench.case import Case, Record, Shape
from softbench.cli import choosing, folder


def record(**changes: Any) -> Record:
    case: dict[str, Any] = {
        "level": "operator", "attention": "softmax", "params": {}, "backend": "eager",
        "shape": Shape(seq_len=16), "inputs": "normal", "dtype": "float32", "device": "cpu",
        "mode": "forward", "compile": False, "seed": 0,
    }  # fmt: skip
    return Record(
        case=Case(**{**case, **changes}), metric="flops", unit="FLOP", better="lower", repeat=0,
        values=[1], status="ok", reason=None, detail={}, environment="e", protocol="p",
        invocation="i",
    ).sealed()  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({}, True),
        ({"attention": "mine"}, False),
        ({"level": "model", "model": {"name": "vit"}}, True),
        ({"level": "model", "model": {"name": "mine"}}, False),
    ],
)
@pytest.mark.parametrize("same", [True, False])
def test_records_of_another_file_are_no_records(
    changes: dict[str, Any], kept: bool, same: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    then, now = {"mine.py": "a" * 16}, {"mine.py": ("a" if same else "b") * 16}
    past = [SimpleNamespace(id="i", plugins=then)]
    monkeypatch.setattr(folder, "invocations", lambda _: past)
    one = record(**changes)
    this: Any = SimpleNamespace(plugins=now)
    found = choosing._of_these_plugins([one], this, Path())
    assert found == ([one] if kept or same else [])
