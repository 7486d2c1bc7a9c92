"""Whatever is typed wrong gets one line on standard error and code 2, and nothing is written.

Mutants seen red: the parser's own errors let through as tracebacks, damaged records read over, a
device that is missing not looked for, an unknown room answered with an empty list, a full disk's
error let through, a bad --set laid at the file's door.
"""

import errno
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from softbench.cli import main
from softbench.cli.ending import exit_code
from softbench.environment import Environment
from softbench.records import FILE, Store
from softbench.run import Crew

SUITE = """
shape: {num_heads: 1, head_dim: 8, seq_len: 16}
attention: {softmax: {}}
metrics: [parameters]
repeats: 1
"""
SOURCES = {
    "nothing.py": '"""No plugin."""\n',
    "syntax.py": "def f(:\n",
    "softmax.py": '"""A taken name."""\n'
    "Params = attend = weights = supports = flops = RANK = Attention = None\n",
    "raising.py": '"""A report."""\nimport no_such_module\ndef render(records, folder): ...\n',
    "two words.py": '"""A report."""\ndef render(records, folder): ...\n',
}
Refused = Callable[..., str]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to type commands in, with a good suite and plug-in files of all sorts."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.yaml").write_text(SUITE)
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.yaml").write_text("a: [")
    for name, source in SOURCES.items():
        (tmp_path / name).write_text(source)
    return tmp_path


@pytest.fixture(autouse=True)
def _no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine is told without a worker, and measuring on it would fail."""
    machine = Environment(
        system="Linux",
        cpu="a CPU",
        cores=2,
        memory=2**33,
        gpus=[],
        driver=None,
        cuda=None,
        python="3.11",
        libraries={},
        threads=1,
        softbench="0",
    )
    monkeypatch.setattr(Crew, "hire", lambda self: None)
    monkeypatch.setattr(Crew, "environment", lambda self: machine)


@pytest.fixture
def refused(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Refused]:
    """Type a command that must be refused; returns the line that it says."""
    before = snapshot(place)

    def typed(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["softbench", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        told = capsys.readouterr()
        assert end.value.code == 2, told.err
        assert told.out == ""
        assert told.err.startswith("softbench: ")
        assert told.err.count("\n") == 1
        return told.err

    yield typed
    assert snapshot(place) == before


def snapshot(folder: Path) -> dict[Path, bytes | None]:
    """Everything below a folder but empty folders and locks, which hold nothing."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path: path.read_bytes() for path in files if path.name != ".lock"}


def says(message: str, *fragments: str) -> None:
    assert [fragment for fragment in fragments if fragment not in message] == [], message


@pytest.mark.parametrize(
    ("typed", "fragments"),
    [
        (["rnu"], ["rnu"]),
        (["frobnicate"], ["No such command 'frobnicate'"]),
        (["--frob"], ["--frob"]),
        (["run", "good.yaml", "--frsh"], ["--frsh", "--fresh"]),
        (["run"], ["suite"]),
        (["report"], ["folder"]),
        (["check"], ["name"]),
        (["export"], ["folder"]),
        (["run", "--out"], ["--out", "requires an argument"]),
        (["list", "attention", "more"], ["more"]),
        (["list", "attentoin"], ["no room 'attentoin'", "did you mean 'attention'?"]),
        (["run", "smok"], ["no suite 'smok'", "did you mean 'smoke'?"]),
        (["run", "empty"], ["empty: a folder, not a suite file"]),
        (["run", ""], ["no suite ''"]),
        (["run", "x" * 5000], ["no suite"]),
        (["run", "broken.yaml"], ["broken.yaml, line 1"]),
        (["run", "good.yaml", "--executor", "lcoal"], ["'lcoal'", "did you mean 'local'?"]),
        (["run", "good.yaml", "--set", "repeats"], ["--set repeats", "key=value"]),
        (["run", "good.yaml", "--set", "repeat=1"], ["'repeat'", "did you mean 'repeats'?"]),
        (["run", "good.yaml", "--set", "repeats=0"], ["--set repeats=0: repeats: 0", "equal to 1"]),
        (["run", "good.yaml", "--only", "sotfmax"], ["--only sotfmax", "'softmax'?"]),
        (["run", "good.yaml", "--only", "*"], ["--only *", "softmax"]),
        (["run", "good.yaml", "--device", "gpu"], ["no device 'gpu'", "did you mean 'cpu'?"]),
        (["run", "good.yaml", "--device", ""], ["device: None is refused"]),
        (["run", "good.yaml", "--device", "cuda"], ["'cuda' is not here", "use 'cpu'"]),
        (["run", "good.yaml", "--device", "cuda:1"], ["'cuda:1' is not here"]),
        (["run", "good.yaml", "--out", "good.yaml/x"], ["cannot write in good.yaml/x"]),
        (["report", "empty"], ["empty: no records.jsonl", "`softbench run SUITE`"]),
        (["report", "nowhere"], ["nowhere: no such folder"]),
        (["export", "empty"], ["empty: no records.jsonl"]),
        (["export", "empty", "--format", "cvs"], ["no format 'cvs'", "did you mean 'csv'?"]),
        (["check", "sotf"], ["no plugin 'sotf'", "did you mean 'soft'?"]),
        (["check", "soft", "--room", "attentin"], ["no room 'attentin'", "'attention'?"]),
        (["check", "soft", "--room", "metrics"], ["no metrics 'soft'", "known: "]),
    ],
    ids=lambda value: " ".join(value)[:40],
)
def test_a_wrong_word_gets_one_line(refused: Refused, typed: list[str], fragments: Any) -> None:
    says(refused(*typed), *fragments)


@pytest.mark.parametrize(
    ("file", "fragments"),
    [
        ("gone.py", ["no such Python file"]),
        ("empty", ["no such Python file"]),
        ("good.yaml", ["no such Python file"]),
        ("nothing.py", ["not a plugin", "lacks"]),
        ("syntax.py", ["line 1", "invalid syntax"]),
        ("softmax.py", ["attention 'softmax' exists already", "rename"]),
        ("raising.py", ["ModuleNotFoundError", "no_such_module"]),
        ("two words.py", ["must be a Python name"]),
    ],
)
@pytest.mark.parametrize("command", [["run", "good.yaml"], ["list", "attention"], ["check", "x"]])
def test_a_wrong_plugin_file_gets_one_line(
    refused: Refused, command: list[str], file: str, fragments: list[str]
) -> None:
    says(refused(*command, "--plugin", file), f"--plugin {file}: ", *fragments)


@pytest.fixture
def results(place: Path) -> Path:
    """The folder that `run good.yaml --out results` would measure into, with a cut-off record."""
    machine = Crew.environment(None)  # type: ignore[arg-type] # the stand-in above asks nobody
    folder = place / "results" / "good" / machine.id
    folder.mkdir(parents=True)
    (folder / FILE).write_text('{"schema":1,"cu')
    return folder


def test_damaged_records_are_named_by_their_line(results: Path, refused: Refused) -> None:
    for command in (["run", "good.yaml"], ["report", "results"], ["export", "results"]):
        says(refused(*command), f"{FILE}, line 1: cut off", "--repair", "0 good lines")


def test_a_folder_that_another_run_holds_is_left_alone(results: Path, refused: Refused) -> None:
    with Store(results):
        says(refused("run", "good.yaml", "--repair"), "another run holds", "--out")


def test_a_full_disk_is_said_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    def fill() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    assert exit_code(fill) == 2
    assert capsys.readouterr().err == "softbench: [Errno 28] No space left on device\n"
