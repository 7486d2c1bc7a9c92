"""What is stable is hashed, what changes is not; the source that measured is known.

Mutants seen red: the threads left out of what is hashed, a device counted from one, new files left
out of the hash of uncommitted changes.
"""

import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from softbench import environment
from softbench.environment import Environment, Gpu, Invocation

GPU = Gpu(name="H", memory=2**37, capability="9.0")


@pytest.fixture(scope="module")
def here() -> Environment:
    return environment.read(threads=1)


def test_the_same_machine_has_the_same_id(here: Environment) -> None:
    again = environment.read(threads=1)
    assert again.id == here.id
    assert Environment.model_validate_json(again.model_dump_json()).id == here.id
    assert len(here.id) == 12


@pytest.mark.parametrize(
    "change",
    [
        {"threads": 2},
        {"gpus": [GPU, GPU, GPU]},
        {"libraries": {"torch": "0"}},
        {"cpu": "another"},
        {"driver": "1.2"},
        {"softbench": "0"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_anything_stable_changes_the_id(here: Environment, change: dict[str, Any]) -> None:
    assert here.model_copy(update=change).id != here.id


def test_versions_are_of_what_is_installed(here: Environment) -> None:
    assert here.libraries["torch"] == version("torch")
    assert here.cores >= 1
    assert here.memory > 2**28
    assert here.cpu


def test_a_library_that_is_missing_is_said_to_be_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "LIBRARIES", ("no-such-library-of-ours",))
    assert environment.read(1).libraries == {"no-such-library-of-ours": "absent"}


@pytest.mark.parametrize(
    ("gpus", "device", "there"),
    [
        (0, "cpu", True),
        (0, "meta", True),
        (0, "cuda", False),
        (0, "cuda:0", False),
        (1, "cuda", True),
        (1, "cuda:0", True),
        (1, "cuda:1", False),
        (2, "cuda:1", True),
        (2, "gpu", False),
    ],
)
def test_which_devices_are_there(here: Environment, gpus: int, device: str, there: bool) -> None:
    machine = here.model_copy(update={"gpus": [GPU] * gpus})
    assert machine.has(device) is there
    assert machine.auto_device == ("cuda" if gpus else "cpu")


def invoked() -> Invocation:
    return Invocation.now(["softbench", "run", "x"], {"mine.py": "abc"})


def test_an_invocation_is_known_by_itself_and_by_its_source() -> None:
    first, second = invoked(), invoked()
    assert first.id != second.id
    assert first.source == second.source
    assert first.command == "softbench run x"
    assert Invocation.model_validate_json(first.model_dump_json()) == first
    other = Invocation.now(["softbench"], {"mine.py": "abd"})
    assert other.source != first.source


def test_what_is_no_checkout_has_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "__file__", str(tmp_path / "softbench" / "environment.py"))
    assert (invoked().commit, invoked().dirty) == (None, None)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of one commit that environment.py takes for its own."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    package = tmp_path / "softbench"
    package.mkdir()
    (package / "code.py").write_text("x = 1\n")
    author = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
    for arguments in (["init", "-q"], ["add", "-A"], [*author, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", "-C", str(tmp_path), *arguments], check=True)
    monkeypatch.setattr(environment, "__file__", str(package / "environment.py"))
    return tmp_path


def test_a_clean_checkout_has_a_commit_and_nothing_dirty(checkout: Path) -> None:
    (checkout / "results").mkdir()
    (checkout / "results" / "records.jsonl").write_text("{}\n")
    now = invoked()
    assert now.commit is not None
    assert len(now.commit) == 40
    assert now.dirty is None


def test_every_change_of_the_code_is_another_source(checkout: Path) -> None:
    code, new = checkout / "softbench" / "code.py", checkout / "softbench" / "new.py"
    seen = [invoked().dirty]
    for path, text in ((code, "x = 2\n"), (new, "y = 1\n"), (new, "y = 2\n"), (code, "x = 1\n")):
        path.write_text(text)
        seen.append(invoked().dirty)
    assert len(set(seen)) == len(seen)
    new.unlink()
    assert invoked().dirty is None


def test_a_change_that_is_no_utf8_is_a_change(checkout: Path) -> None:
    (checkout / "softbench" / "code.py").write_bytes(b"x = '\xe9'\n")
    assert invoked().dirty
