"""A folder is a registry: names, loading, "did you mean", and files from outside.

Mutants seen red: underscore files listed, "did you mean" in exact case only, a taken name or a
failing file let in, what failed left behind, the room told by one name only, docstrings read in
the locale's encoding, a file adopted twice executed twice; a fault of syntax, of import or a
`sys.exit` in a room's folder let through, "line None" for a file with NUL bytes, dotted options
near as a whole only.
"""

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from softbench import plugins

INVERSE = '"""A solver that gives back what it gets."""\n\ninvert = flops = print\n'
SOURCES = {
    "attention": "Params = attend = weights = supports = flops = Attention = print\nRANK = None\n",
    "inverse": INVERSE,
    "models": "Params = shape = supports = build = draw = flops = print\n",
    "metrics": "QUANTITIES: dict = {}\n\ndef measure(workload, protocol): ...\n",
    "reports": "from json import dumps as render\n",
    "tasks": "Params = print\n\ndef load(params, *, seed, data_root=None): ...\n",
}


@pytest.fixture(autouse=True)
def _nothing_stays_adopted() -> Iterator[None]:
    before = set(sys.modules)
    yield
    for module in set(sys.modules) - before:
        if module.rpartition(".")[2].startswith("given"):
            del sys.modules[module]


@pytest.fixture
def given(tmp_path: Path) -> Path:
    path = tmp_path / "given.py"
    path.write_text(INVERSE)
    return path


def test_the_files_of_a_folder_are_its_names() -> None:
    folder = Path(plugins.__file__).parents[1] / "inverse"
    files = {path.stem for path in folder.glob("[!_]*.py")}
    assert "newton" in files
    assert set(plugins.names("inverse")) >= files


@pytest.mark.parametrize("room", plugins.ROOMS)
def test_helpers_are_no_plugins_even_once_imported(room: str) -> None:
    plugins.load("inverse", "newton")
    assert "softbench.inverse._implicit" in sys.modules
    assert not [name for name in plugins.names(room) if name.startswith("_")]
    with pytest.raises(plugins.UnknownNameError):
        plugins.load(room, "__init__")


def test_what_stands_inside_a_plugin_is_no_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "softbench.inverse.given.inner", sys)
    assert "given.inner" not in plugins.names("inverse")


def test_a_plugin_is_loaded_by_name() -> None:
    assert plugins.load("inverse", "newton").__name__ == "softbench.inverse.newton"


def test_an_unknown_name_comes_with_the_nearest_right_one() -> None:
    with pytest.raises(plugins.UnknownNameError, match="no inverse 'newtn'; did you mean 'newton'"):
        plugins.load("inverse", "newtn")


@pytest.mark.parametrize(
    ("name", "clause"),
    [
        ("sofmax", "did you mean 'softmax'?"),
        ("SOFT", "did you mean 'soft'?"),
        ("SDPA", "known: linformer, soft, softmax"),
        (None, "known: linformer, soft, softmax"),
        (49, "known: linformer, soft, softmax"),
    ],
)
def test_did_you_mean(name: object, clause: str) -> None:
    assert plugins.did_you_mean(name, ["softmax", "soft", "linformer"]) == clause


def test_an_option_with_dots_is_as_near_as_its_last_part() -> None:
    options = ["seed", "shape.seq_len", "budget.case_seconds"]
    assert plugins.did_you_mean("seqlen", options) == "did you mean 'shape.seq_len'?"
    assert plugins.did_you_mean("shape.seqlen", options) == "did you mean 'shape.seq_len'?"
    assert plugins.did_you_mean("seq", options) == "did you mean 'shape.seq_len'?"
    assert plugins.did_you_mean("@", options) == "known: budget.case_seconds, seed, shape.seq_len"


@pytest.mark.parametrize("room", plugins.ROOMS)
def test_a_file_is_adopted_into_the_room_whose_contract_it_has(room: str, tmp_path: Path) -> None:
    path = tmp_path / f"given_{room}.py"
    path.write_text(SOURCES[room])
    assert plugins.adopt(path) == (room, path.stem)
    assert path.stem in plugins.names(room)
    assert plugins.load(room, path.stem).__file__ == str(path)


def test_an_adopted_file_has_a_summary(given: Path) -> None:
    plugins.adopt(given)
    assert plugins.summary("inverse", "given") == "A solver that gives back what it gets."


def test_a_file_is_adopted_once(given: Path, tmp_path: Path) -> None:
    plugins.adopt(given)
    first = plugins.load("inverse", "given")
    assert plugins.adopt(tmp_path / "." / "given.py") == ("inverse", "given")
    assert plugins.load("inverse", "given") is first


def test_a_file_of_the_folder_is_a_member_before_it_is_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "softbench.inverse.newton", raising=False)
    newton = Path(plugins.__file__).parents[1] / "inverse" / "newton.py"
    assert plugins.adopt(newton) == ("inverse", "newton")


@pytest.mark.parametrize(
    ("file", "source", "message"),
    [
        ("newton.py", INVERSE, "inverse 'newton' exists already; rename the file"),
        ("given.py", "def invert(): ...\n", "not a plugin; for inverse it lacks flops"),
        ("given.py", "", "not a plugin; for .* it lacks"),
        ("given.py", "x = 1\ny = = 2\n", "line 2: invalid syntax"),
        ("given.py", "x = '\xff'\n", "utf-8"),
        (
            "given.py",
            INVERSE + "\0",
            "given.py: [A-Z][a-zA-Z]*: source code string cannot",
        ),
        ("given.py", "x = " + "(" * 5000, "too many nested parentheses"),
        ("given.py", INVERSE + "import no_such_module\n", "ModuleNotFoundError: No module named"),
        ("given.py", INVERSE + "1 / 0\n", "ZeroDivisionError: division by zero"),
        ("_given.py", INVERSE, "must be a Python name without leading underscore"),
        ("given-1.py", INVERSE, "must be a Python name"),
    ],
)
def test_a_file_that_cannot_be_a_plugin_is_refused(
    file: str, source: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / file
    path.write_bytes(source.encode("latin-1"))
    before = set(sys.modules)
    with pytest.raises(ValueError, match=message) as error:
        plugins.adopt(path)
    assert str(path) in str(error.value)
    assert not {name for name in set(sys.modules) - before if "given" in name}


@pytest.mark.parametrize("file", ["absent.py", "given.txt", ""])
def test_a_file_that_is_not_there_is_said(file: str, tmp_path: Path) -> None:
    (tmp_path / "given.txt").write_text(INVERSE)
    with pytest.raises(FileNotFoundError, match="no such Python file"):
        plugins.adopt(tmp_path / file)


def test_two_files_of_one_name_are_refused(given: Path, tmp_path: Path) -> None:
    plugins.adopt(given)
    (tmp_path / "other").mkdir()
    twin = tmp_path / "other" / "given.py"
    twin.write_text(INVERSE)
    with pytest.raises(ValueError, match="exists already"):
        plugins.adopt(twin)


def test_an_interrupt_while_importing_stays_an_interrupt(given: Path) -> None:
    given.write_text(INVERSE + "raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        plugins.adopt(given)
    assert "given" not in plugins.names("inverse")


def test_an_installed_plugin_is_listed_and_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("given_solver", "json", "softbench.inverse")
    monkeypatch.setattr(plugins, "_entry_points", plugins._entry_points.__wrapped__)
    monkeypatch.setattr(
        plugins, "entry_points", lambda *, group: [point] if group == point.group else []
    )
    assert "given_solver" in plugins.names("inverse")
    assert "given_solver" not in plugins.names("attention")
    assert plugins.load("inverse", "given_solver").__name__ == "json"


@pytest.fixture
def dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file, still to be written, that stands in the folder of solvers."""
    path = tmp_path / "given_solver.py"
    package = importlib.import_module("softbench.inverse")
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    folder = plugins._folder
    monkeypatch.setattr(
        plugins,
        "_folder",
        lambda room: folder(room) | ({path.stem: path} if room == "inverse" else {}),
    )
    return path


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("x = 1\ny = = 2\n", "given_solver.py, line 2: invalid syntax"),
        ("import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("1 / 0\n", "ZeroDivisionError: division by zero"),
        ("raise ValueError('two\\nlines')\n", "ValueError: two lines"),
        ("raise SystemExit('gone')\n", "SystemExit: gone"),
    ],
)
def test_a_broken_file_of_a_folder_is_named_with_its_reason(
    source: str, why: str, dropped: Path
) -> None:
    dropped.write_text(source)
    with pytest.raises(plugins.BrokenPluginError) as error:
        plugins.load("inverse", dropped.stem)
    assert str(error.value) == f"inverse 'given_solver' is broken: {why}"
    assert plugins.load("inverse", "newton")


@pytest.mark.parametrize(
    ("source", "why"),
    [(b"y = = 2\n", "line 1: invalid syntax"), (b"x = 1\0", "null bytes"), (b"'\xff'", "utf-8")],
)
def test_the_summary_of_no_python_is_its_fault(source: bytes, why: str, dropped: Path) -> None:
    dropped.write_bytes(source)
    with pytest.raises(
        plugins.BrokenPluginError, match=f"inverse 'given_solver' is broken: .*{why}"
    ):
        plugins.summary("inverse", dropped.stem)


def test_a_summary_needs_no_import(dropped: Path) -> None:
    dropped.write_text('"""A solver."""\nimport no_such_module\n')
    assert plugins.summary("inverse", dropped.stem) == "A solver."


def test_the_hash_of_a_file_changes_with_it(given: Path) -> None:
    first = plugins.file_hash(given)
    assert len(first) == 16
    given.write_text(INVERSE + "\n")
    assert plugins.file_hash(given) != first


def test_summaries_are_read_without_importing_and_in_any_locale() -> None:
    program = (
        "import sys; from softbench import plugins\n"
        "print(all(plugins.summary('attention', n) for n in plugins.names('attention')),"
        " [m for m in ('torch', 'numpy') if m in sys.modules])"
    )
    latin = {**os.environ, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=latin, check=True
    )
    assert done.stdout.strip() == "True []"
