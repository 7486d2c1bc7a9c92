"""From what was typed to a side: a revision, a folder, a wheel, a virtual environment.

    --base main             a git worktree of that revision, removed when the gate ends
    --base-path ../before   a folder: with a softbench/ in it that one is timed, else the installed
    --base-path old.whl     a wheel, unpacked
    --base-path .venv-old   a virtual environment, or its python: what is installed there

A plug-in file of the head's tree, or of the caller's, is taken from the same place in each side's
tree, where it has one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from softbench.gate.kernels import lend_kernels
from softbench.gate.sides import Side


class TreeError(ValueError):
    """What was typed names no tree; the message is one line and says what would."""


def top_of(folder: Path) -> Path | None:
    """The root of the git checkout that `folder` is in; None if it is in none."""
    if shutil.which("git") is None:
        return None
    told = _git(folder, "rev-parse", "--show-toplevel")
    return Path(told.stdout.strip()) if told.returncode == 0 else None


@contextmanager
def worktree(revision: str, top: Path | None) -> Iterator[Path]:
    """A folder with the files of that revision. Raises TreeError."""
    if top is None:
        raise TreeError(f"--base {revision}: this is no git checkout; --base-path takes a folder")
    if not _commit(top, revision):
        raise TreeError(
            f"--base {revision}: git knows no such revision here; a shallow checkout must fetch it "
            "first (actions/checkout: fetch-depth: 0)"
        )
    with tempfile.TemporaryDirectory(prefix="softbench-gate-") as above:
        folder = Path(above).resolve() / "base"
        made = _git(top, "worktree", "add", "--detach", "--force", str(folder), revision)
        if made.returncode != 0:
            raise TreeError(f"--base {revision}: {made.stderr.strip().splitlines()[-1]}")
        try:
            lend_kernels(top, folder)
            yield folder
        finally:
            _git(top, "worktree", "remove", "--force", str(folder))


@contextmanager
def placed(path: Path, option: str) -> Iterator[tuple[Path | None, str]]:
    """The root and the interpreter of a folder, a wheel, or an environment. Raises TreeError."""
    python = path / "bin" / "python"
    if path.suffix == ".whl" and path.is_file() and zipfile.is_zipfile(path):
        with tempfile.TemporaryDirectory(prefix="softbench-gate-") as folder:
            with zipfile.ZipFile(path) as wheel:
                wheel.extractall(folder)
            yield Path(folder).resolve(), sys.executable
    elif python.is_file() or (path.is_file() and os.access(path, os.X_OK)):
        yield None, str((python if path.is_dir() else path).absolute())
    elif path.is_dir():
        yield path.resolve(), sys.executable
    else:
        raise TreeError(f"{option} {path}: no folder, wheel or virtual environment is there")


def side(
    name: str, root: Path | None, python: str, files: Sequence[Path], homes: Sequence[Path]
) -> Side:
    """A side with the plug-in files that it has; those outside of `homes` are everyone's."""
    own = tuple(str(there) for file in files if (there := same_place(file, homes, root)))
    return Side(name, None if root is None else str(root), python, own)


def same_place(file: Path, homes: Sequence[Path], root: str | Path | None) -> Path | None:
    """The file in the tree `root` that stands where `file` stands in its home, the first of `homes`
    that holds it; None if there is none.

    A file outside of them is the same for all.
    """
    resolved = file.resolve()
    home = next((one for one in homes if resolved.is_relative_to(one.resolve())), None)
    if root is None or home is None:
        return resolved
    there = Path(root) / resolved.relative_to(home.resolve())
    return there if there.is_file() else None


def _commit(top: Path, revision: str) -> bool:
    told = _git(
        top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"
    )
    return told.returncode == 0


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    git = shutil.which("git")
    if git is None:
        raise TreeError("--base needs git, which was not found; --base-path takes a folder")
    return subprocess.run(
        [git, "-C", str(folder), *arguments], capture_output=True, text=True, errors="replace"
    )
