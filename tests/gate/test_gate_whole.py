"""`softbench gate` whole: a repository with a mechanism of its own, its base and its head.

Every command is a real one in new processes. Seen red: with the base's plug-in file taken from the
head, with a worktree of the head, with the slowdown in the recorded times left out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from waiting_mechanism import BACKENDS, tree

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
PROGRAM = "import sys; from softbench.cli import main; sys.argv[0] = 'softbench'; main()"
SUITE = """
shape: {num_heads: 1, head_dim: 8, seq_len: 16}
attention: {waiting: {backend: [eager, slower]}}
device: cpu
dtype: float32
metrics: [latency]
gate: {pairs: 6, max_pairs: 6}
"""


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two commits: in the second, `slower` waits half as long again and a backend is new."""
    top = tmp_path_factory.mktemp("mine") / "a repository"
    tree(top, backends=("eager", "slower"))
    (top / "mine.yaml").write_text(SUITE)
    git(top, "init", "-q", "-b", "main")
    git(top, "add", "-A")
    git(top, "commit", "-qm", "before")
    tree(top, {"slower": 3e-3, "quick": 5e-4}, backends=(*BACKENDS, "quick"))
    (top / "quick.yaml").write_text(SUITE.replace("[eager, slower]", "quick"))
    (top / "mine.yaml").write_text(SUITE.replace("slower]", "slower, other]"))
    git(top, "add", "-A")
    git(top, "commit", "-qm", "after")
    return top


def gate(folder: Path, *options: str, suite: str = "mine.yaml") -> tuple[int, str]:
    """Code and output of the gate, run in the repository."""
    arguments = ["gate", suite, "--plugin", "waiting.py", *options]
    ran = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=300,
    )
    assert ran.returncode in (0, 1, 2, 3, 4), ran.stderr
    return ran.returncode, ran.stdout or ran.stderr


def verdicts(out: str) -> dict[str, str]:
    told: dict[str, Any] = json.loads(out)
    return {cell["name"].split()[0]: cell["verdict"] for cell in told["timed"]["cells"]}


def test_a_slowdown_since_a_revision_is_found_and_what_is_new_is_told(repository: Path) -> None:
    code, out = gate(repository, "--base", "HEAD~1", "--layer", "timing", "--json")
    assert code == 1
    assert verdicts(out) == {"waiting/eager": "pass", "waiting/slower": "regression"}
    (new,) = json.loads(out)["troubles"]
    assert (new["kind"], new["name"]) == ("new", "waiting/other N=16 forward")
    listed = subprocess.run(
        ["git", "-C", str(repository), "worktree", "list"], capture_output=True, text=True
    )
    assert len(listed.stdout.splitlines()) == 1


def test_the_same_revision_passes(repository: Path) -> None:
    code, out = gate(repository, "--base", "HEAD", "--layer", "timing")
    assert (code, "Pass: none of 3 cells is slower" in out) == (0, True), out


def test_counts_of_a_mechanism_of_ones_own_are_kept_and_held(repository: Path) -> None:
    assert gate(repository, "--update-baseline")[0] == 0
    assert gate(repository)[0] == 0
    text = (repository / "waiting.py").read_text()
    (repository / "waiting.py").write_text(text.replace("v.clone()", "(v * 2).clone()"))
    code, out = gate(repository)
    git(repository, "checkout", "-q", "waiting.py")
    assert code == 1
    assert "operators on cpu" in out
    assert "aten::mul 0 → 1" in out


def test_a_calibration_keeps_its_rounds_and_goes_on_where_it_stopped(repository: Path) -> None:
    """Slowed heads are slower by what they were given to do, and the page says what was found."""

    def calibrated(rounds: int) -> tuple[int, str]:
        options = ("--calibrate", "--rounds", str(rounds), "--out", "kept")
        return gate(repository, *options, suite="quick.yaml")

    assert calibrated(1)[0] == 0
    (file,) = (repository / "kept" / "gate" / "quick").glob("*/rounds.jsonl")
    first = file.read_text()
    code, out = calibrated(2)
    assert code == 0
    assert file.read_text().startswith(first)
    assert len(file.read_text().splitlines()) == 2
    assert "| false alarms, rounds with any |" in out
    assert (file.parent / "calibration.md").read_text() in out
    for line in file.read_text().splitlines():
        for pair in json.loads(line)["pairs"]:
            base, slowed = (min(pair[side][0]) for side in ("base", "head+20%"))
            assert slowed / base == pytest.approx(1.2, rel=0.08)
    assert calibrated(2) == (0, out)
    text = (repository / "quick.yaml").read_text()
    (repository / "quick.yaml").write_text(text.replace("pairs: 6,", "pairs: 5,"))
    code, told = calibrated(2)
    assert code == 2
    assert "other cells or rules" in told
