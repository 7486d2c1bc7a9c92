"""What `softbench export` prints: of a measurement made again, the last alone, wherever it lies.

Mutant seen red: every record printed, superseded ones too.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from softbench.case import Case, Record, Shape
from softbench.cli import main
from softbench.records import Store


def record(value: int, environment: str = "e", **changes: Any) -> Record:
    case: dict[str, Any] = {
        "level": "operator", "attention": "softmax", "params": {}, "backend": "eager",
        "shape": Shape(seq_len=16), "inputs": "normal", "dtype": "float32", "device": "cpu",
        "mode": "forward", "compile": False, "seed": 0,
    }  # fmt: skip
    return Record(
        case=Case(**{**case, **changes}),
        metric="flops",
        unit="FLOP",
        better="lower",
        repeat=0,
        values=[value],
        status="ok",
        reason=None,
        detail={},
        environment=environment,
        protocol="p",
        invocation="i",
    ).sealed()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Results of two machines, of which one measured twice."""
    for name, values in (("e", [1, 2]), ("f", [3])):
        with Store(tmp_path / name) as store:
            for value in values:
                store.append(record(value, name))
    return tmp_path


def exported(folder: Path, form: str, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> str:
    monkeypatch.setattr(sys, "argv", ["softbench", "export", str(folder), "--format", form])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    return str(capsys.readouterr().out)


def test_the_last_record_of_a_key_is_printed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = list(csv.DictReader(io.StringIO(exported(folder, "csv", monkeypatch, capsys))))
    assert [(row["environment"], row["value"]) for row in rows] == [("e", "2"), ("f", "3")]
    array = json.loads(exported(folder, "json", monkeypatch, capsys))
    assert [one["values"] for one in array] == [[2], [3]]


def test_a_model_is_a_column(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Store(tmp_path / "e") as store:
        store.append(record(1, level="model", model={"name": "vit", "depth": 2}))
        store.append(record(2))
    rows = list(csv.DictReader(io.StringIO(exported(tmp_path, "csv", monkeypatch, capsys))))
    assert [row["model"] for row in rows] == ['{"depth": 2, "name": "vit"}', ""]
