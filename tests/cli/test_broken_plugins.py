"""One broken file in a room's folder: listed with its reason, refused by name, in nobody's way.

Mutants seen red: a fault of syntax let through by `list`, the error left out of those that end in
one line.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from softbench import plugins
from softbench.cli import main
from softbench.run import Crew

Command = Callable[..., tuple[int, str, str]]
SUITE = """
shape: {{num_heads: 1, head_dim: 8, seq_len: 16}}
attention: {{{attention}: {{}}}}
metrics: [parameters]
repeats: 1
"""


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mechanism of the folder that is no Python; the current folder is where it lies."""
    path = tmp_path / "torn.py"
    path.write_text('"""Attention."""\ndef attend(:\n')
    package = importlib.import_module("softbench.attention")
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    folder = plugins._folder
    monkeypatch.setattr(
        plugins,
        "_folder",
        lambda room: folder(room) | ({"torn": path} if room == "attention" else {}),
    )
    monkeypatch.setattr(Crew, "hire", lambda self: None)
    monkeypatch.chdir(tmp_path)
    return path


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Type a command; returns its code, standard output and standard error."""

    def typed(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["softbench", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        told = capsys.readouterr()
        return int(end.value.code or 0), told.out, told.err

    return typed


def test_it_is_listed_with_its_reason_among_the_others(broken: Path, command: Command) -> None:
    code, told, _ = command("list", "attention")
    assert code == 0
    listed = dict(line.split(maxsplit=1) for line in told.splitlines())
    assert listed["torn"] == "attention 'torn' is broken: line 2: invalid syntax"
    assert "Softmax" in listed["softmax"]
    assert json.loads(command("list", "attention", "--json")[1])["torn"] == listed["torn"]


@pytest.mark.parametrize("attention", ["torn", '"*"'])
def test_a_suite_with_it_is_refused_in_one_line(
    attention: str, broken: Path, command: Command
) -> None:
    Path("bench.yaml").write_text(SUITE.format(attention=attention))
    code, _, told = command("run", "bench.yaml")
    assert code == 2
    assert told == "softbench: attention 'torn' is broken: torn.py, line 2: invalid syntax\n"
    assert not Path("results").exists()


def test_a_check_of_it_is_refused_and_of_another_is_not(broken: Path, command: Command) -> None:
    code, _, told = command("check", "torn")
    assert (code, told.count("\n")) == (2, 1)
    assert "'torn' is broken" in told
    assert command("check", "newton")[0] == 0
