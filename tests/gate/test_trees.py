"""Sides from what was typed: revisions, folders, wheels, environments, and plug-in files of each.

Mutants seen red: a worktree left behind; the revision not checked before; a plug-in file of the
head given to the base that has its own; one that the base lacks given to it; kernels of other
sources lent; a wheel that is none unpacked.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from softbench.gate import trees
from softbench.gate.kernels import lend_kernels
from softbench.gate.trees import TreeError

DIGEST = "def digest():\n    return {!r}\n"


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Two commits: mine.py says 1, then 2."""
    top = tmp_path / "a checkout"
    top.mkdir()
    git(top, "init", "-q", "-b", "main")
    for text in ("1\n", "2\n"):
        (top / "mine.py").write_text(text)
        git(top, "add", "-A")
        git(top, "commit", "-qm", text)
    return top


def test_a_revision_is_a_worktree_for_as_long_as_it_is_needed(checkout: Path) -> None:
    with trees.worktree("HEAD~1", checkout) as folder:
        assert (folder / "mine.py").read_text() == "1\n"
        assert len(git(checkout, "worktree", "list").splitlines()) == 2
    assert not folder.exists()
    assert len(git(checkout, "worktree", "list").splitlines()) == 1
    assert (checkout / "mine.py").read_text() == "2\n"


def test_a_worktree_is_removed_after_a_failure_too(checkout: Path) -> None:
    with pytest.raises(KeyError), trees.worktree("main", checkout):
        raise KeyError
    assert len(git(checkout, "worktree", "list").splitlines()) == 1


@pytest.mark.parametrize("revision", ["nowhere", "--help", "", "HEAD:mine.py", "HEAD~9"])
def test_what_is_no_revision_is_refused_with_what_helps(checkout: Path, revision: str) -> None:
    with (
        pytest.raises(TreeError, match="fetch-depth: 0") as refused,
        trees.worktree(revision, checkout),
    ):
        pass
    assert "\n" not in str(refused.value)


def test_outside_of_a_checkout_there_are_no_revisions(tmp_path: Path) -> None:
    assert trees.top_of(tmp_path) is None
    with pytest.raises(TreeError, match="--base-path"), trees.worktree("main", None):
        pass


def test_a_checkout_is_found_from_a_folder_in_it(checkout: Path) -> None:
    (checkout / "deep").mkdir()
    assert trees.top_of(checkout / "deep") == checkout.resolve()


def test_a_folder_is_itself(tmp_path: Path) -> None:
    with trees.placed(tmp_path, "--base-path") as (root, python):
        assert (root, python) == (tmp_path.resolve(), sys.executable)


def test_a_wheel_is_unpacked_for_as_long_as_it_is_needed(tmp_path: Path) -> None:
    wheel = tmp_path / "mine-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("softbench/__init__.py", "old = True\n")
    with trees.placed(wheel, "--base-path") as (root, python):
        assert root is not None
        assert (root / "softbench" / "__init__.py").read_text() == "old = True\n"
        assert python == sys.executable
    assert not root.exists()


def test_an_environment_is_its_python_and_what_is_installed_there(tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    for path in (tmp_path, python):
        with trees.placed(path, "--base-path") as found:
            assert found == (None, str(python))


@pytest.mark.parametrize("name", ["nowhere", "file.txt", "broken.whl"])
def test_what_is_neither_is_refused(tmp_path: Path, name: str) -> None:
    if name != "nowhere":
        (tmp_path / name).write_text("no wheel")
    with (
        pytest.raises(TreeError, match=r"--head-path .*no folder, wheel or virtual environment"),
        trees.placed(tmp_path / name, "--head-path"),
    ):
        pass


def test_a_plugin_file_is_each_trees_own(checkout: Path, tmp_path: Path) -> None:
    mine, new, others = checkout / "mine.py", checkout / "new.py", tmp_path / "others.py"
    for file in (new, others):
        file.write_text("")
    with trees.worktree("HEAD~1", checkout) as folder:
        base = trees.side("base", folder, "python", [mine, new, others], [checkout])
        assert base.plugins == (str(folder / "mine.py"), str(others))
    head = trees.side("head", checkout, "python", [mine, new, others], [checkout])
    assert head.plugins == (str(mine), str(new), str(others))
    installed = trees.side("base", None, "python", [mine], [checkout])
    assert installed.plugins == (str(mine),)


def kernels(tree: Path, digest: str, *built: str) -> Path:
    folder = tree / "softbench" / "kernels"
    folder.mkdir(parents=True)
    (folder / "_sources.py").write_text(DIGEST.format(digest))
    for name in built:
        (folder / name).write_text(digest)
    return folder


def test_kernels_of_the_same_sources_are_lent(tmp_path: Path) -> None:
    kernels(tmp_path / "head", "alike", "_a.so", "_b.so")
    there = kernels(tmp_path / "base", "alike")
    lend_kernels(tmp_path / "head", tmp_path / "base")
    assert sorted(file.name for file in there.glob("*.so")) == ["_a.so", "_b.so"]


def test_kernels_of_other_sources_are_built_and_never_lent(tmp_path: Path) -> None:
    kernels(tmp_path / "head", "new", "_a.so")
    there = kernels(tmp_path / "base", "old")
    (tmp_path / "base" / "setup.py").write_text(
        "import sys\nopen('softbench/kernels/_built.so', 'w').write(' '.join(sys.argv[1:]))\n"
    )
    lend_kernels(tmp_path / "head", tmp_path / "base")
    assert [file.name for file in there.glob("*.so")] == ["_built.so"]
    assert (there / "_built.so").read_text() == "-q build_ext --inplace"


def test_a_tree_without_kernels_gets_none(tmp_path: Path) -> None:
    kernels(tmp_path / "head", "new", "_a.so")
    (tmp_path / "base").mkdir()
    lend_kernels(tmp_path / "head", tmp_path / "base")
    assert list((tmp_path / "base").rglob("*")) == []
