"""The commands that read: list, report, export, check, help; and one small run they read from.

Mutant seen red: records written after --repair going into the file that it had replaced.
"""

import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from softbench import plugins, records
from softbench.cli import main
from softbench.cli.list_command import FILES
from softbench.suite import packaged

SUITE = """# Three lengths of two mechanisms.
shape: {num_heads: 1, head_dim: 8, seq_len: [16, 25, 36]}
attention: {softmax: {}, soft: {num_landmarks: 9}}
metrics: [latency, flops]
reports: [scaling, table]
repeats: 1
"""
COMMANDS = (
    "run",
    "plan",
    "gate",
    "train",
    "evaluate",
    "list",
    "report",
    "check",
    "export",
    "compare",
)
Command = Callable[..., tuple[int, str, str]]


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


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the suite above was run once."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "tiny.yaml").write_text(SUITE)
    softbench = str(Path(sys.executable).parent / "softbench")
    done = subprocess.run([softbench, "run", "tiny.yaml"], cwd=folder, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return folder


@pytest.fixture
def results(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The results of that run, beside which one now stands."""
    monkeypatch.chdir(place)
    [file] = Path("results").rglob(records.FILE)
    return file.parent


def test_help_explains_every_command_in_a_line_that_is_whole(command: Command) -> None:
    code, told, _ = command("--help")
    assert code == 0
    listed = told.partition("Commands:")[2].strip().splitlines()
    assert [line.split()[0] for line in listed] == list(COMMANDS)
    assert all(line.endswith(".") and not line.endswith("...") for line in listed)
    assert command() == (0, told, "")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_explained(command: Command, name: str) -> None:
    code, told, _ = command(name, "--help")
    assert code == 0
    assert "..." not in told.replace("[OPTIONS]...", "")
    options = [line for line in told.splitlines() if line.startswith("  --")]
    assert options
    assert all(len(option.split("  ")) > 2 for option in options)


def test_the_version_is_told(command: Command) -> None:
    from softbench import __version__

    assert command("--version") == (0, f"{__version__}\n", "")


@pytest.mark.parametrize("room", [*plugins.ROOMS, *FILES])
def test_a_room_is_listed_for_people_and_for_machines(command: Command, room: str) -> None:
    names = list(packaged(FILES[room])) if room in FILES else plugins.names(room)
    code, told, _ = command("list", room)
    assert code == 0
    assert [line.split()[0] for line in told.splitlines()] == names
    assert all(len(line.split()) > 3 for line in told.splitlines())
    code, told, _ = command("list", room, "--json")
    assert code == 0
    assert list(json.loads(told)) == names


def test_without_a_room_all_are_listed_by_their_names(command: Command) -> None:
    code, told, _ = command("list")
    assert code == 0
    rooms = dict(line.split(maxsplit=1) for line in told.splitlines())
    assert list(rooms) == [*plugins.ROOMS, *FILES]
    assert rooms["attention"].split(", ") == plugins.names("attention")
    assert json.loads(command("list", "--json")[1])["recipes"] == list(packaged("recipe"))


def test_of_a_suite_its_comment_s_first_sentence_is_told(command: Command) -> None:
    lines = dict(line.split(maxsplit=1) for line in command("list", "suites")[1].splitlines())
    assert all(line.endswith(".") for line in lines.values())
    assert lines["pyramid"].endswith("throughput and memory.")
    assert lines["accuracy"].endswith("five seeds.")


def test_a_plugin_file_is_listed_among_its_room(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "mine_alone.py"
    path.write_text('"""A page of mine."""\ndef render(records, folder): ...\n')
    try:
        _, told, _ = command("list", "reports", "--plugin", str(path))
    finally:
        sys.modules.pop("softbench.reports.mine_alone", None)
    assert re.search(r"^mine_alone +A page of mine\.$", told, re.MULTILINE)


def test_check_says_that_a_plugin_is_good(command: Command) -> None:
    assert command("check", "newton") == (0, "inverse newton: keeps its contract\n", "")


def test_check_says_what_a_plugin_lacks(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "mine_alone.py"
    path.write_text("def render(records): ...\n")
    try:
        code, told, _ = command("check", "mine_alone", "--plugin", str(path))
    finally:
        sys.modules.pop("softbench.reports.mine_alone", None)
    assert code == 4
    assert "reports mine_alone: the module docstring" in told
    assert "render takes (records), not (records, folder)" in told


def test_a_run_says_where_everything_lies(results: Path) -> None:
    shown = {path.name for path in results.iterdir()}
    assert {"suite.yaml", "environment.json", "invocations.jsonl", records.FILE} <= shown
    assert {"scaling.svg", "table.md"} <= shown
    assert (results / "suite.yaml").read_text() == SUITE
    found = records.read(results)
    assert len(found) == 2 * 3 * 4
    assert {record.status for record in found} == {"ok"}


def test_reports_are_drawn_again_without_torch_and_come_out_the_same(results: Path) -> None:
    svg, table = results / "scaling.svg", results / "table.md"
    before = (svg.read_bytes(), table.read_bytes())
    svg.unlink()
    program = (
        "import sys\nsys.modules['torch'] = None\nfrom softbench.cli import main\n"
        "sys.argv = ['softbench', 'report', 'results']\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert str(svg) in done.stdout.splitlines()
    assert (svg.read_bytes(), table.read_bytes()) == before


def test_one_report_is_drawn_alone(command: Command, results: Path) -> None:
    code, told, _ = command("report", "results", "--report", "table")
    assert code == 0
    assert {Path(line).stem for line in told.splitlines()} == {"table"}


@pytest.mark.parametrize(
    ("spoil", "fragments"),
    [
        (lambda folder: (folder / "cells.json").write_text("{"), ["cells.json", "writes it again"]),
        (lambda folder: (folder / "cells.json").write_text("[]"), ["cells.json"]),
        (lambda folder: (folder / "table.md").mkdir(), ["cannot write", "table.md"]),
    ],
    ids=["cut", "other", "blocked"],
)
def test_a_folder_that_cannot_be_drawn_gets_one_line(
    command: Command,
    results: Path,
    tmp_path: Path,
    spoil: Callable[[Path], None],
    fragments: list[str],
) -> None:
    for name in ("cells.json", records.FILE):
        (tmp_path / name).write_bytes((results / name).read_bytes())
    spoil(tmp_path)
    code, _, told = command("report", str(tmp_path), "--report", "table")
    assert code == 2
    assert told.count("\n") == 1
    assert all(fragment in told for fragment in fragments), told


def test_a_report_that_is_unknown_gets_the_nearest_name(command: Command, results: Path) -> None:
    code, _, told = command("report", "results", "--report", "tabel")
    assert (code, told) == (2, "softbench: no reports 'tabel'; did you mean 'table'?\n")


def test_records_are_exported_whole(command: Command, results: Path) -> None:
    found = records.read(results)
    _, told, _ = command("export", "results")
    rows = list(csv.DictReader(io.StringIO(told)))
    assert [float(row["value"]) for row in rows] == [v for one in found for v in one.values]
    _, told, _ = command("export", "results", "--format", "json")
    assert [one["id"] for one in json.loads(told)] == [one.id for one in found]


@pytest.mark.slow
def test_repair_measures_what_was_damaged_and_nothing_else(command: Command, place: Path) -> None:
    folder = next((place / "results").rglob(records.FILE)).parent
    whole = (folder / records.FILE).read_bytes()
    (folder / records.FILE).write_bytes(whole[:-30])
    arguments = ("run", str(place / "tiny.yaml"), "--out", str(place / "results"))
    code, _, told = command(*arguments)
    assert (code, told.count("\n")) == (2, 1)
    assert "line 24: cut off in the middle" in told
    code, _, told = command(*arguments, "--repair")
    assert code == 0
    assert "1 damaged lines set aside" in told
    found = records.read(folder)
    assert len(found) == 24
    assert (folder / records.FILE).read_bytes().startswith(whole[:-1].rpartition(b"\n")[0])
    assert (folder / records.DAMAGED).read_bytes().endswith(b"\n")
