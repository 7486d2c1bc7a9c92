"""A mechanism is one file: dropped into the folder, or given with --plugin, with no other edit.

tests/plugins/linear_elu.py is the file. Every command here is a real one, in new processes.
Seen red: while the counter did not know the backward of elu, and before the file was dropped.
"""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from softbench import records

ROOT = Path(__file__).parents[1]
FILE = ROOT / "tests" / "plugins" / "linear_elu.py"
SUITE = """
shape: {batch_size: 1, num_heads: 1, head_dim: 8, seq_len: [16, 64]}
attention: {softmax: {}, "*": {}}
device: cpu
repeats: 1
metrics: [flops]
reports: [scaling]
"""
MEASURED = """
shape: {batch_size: 1, num_heads: 1, head_dim: 8, seq_len: 16}
attention: {linear_elu: {}}
device: cpu
repeats: 1
mode: [forward, forward_backward]
metrics: [latency, peak_memory]
"""
PROGRAM = "import sys; from softbench.cli import main; sys.argv[0] = 'softbench'; main()"


def softbench(folder: Path, *arguments: str, package: Path = ROOT) -> str:
    """The output of a command that must end well, with softbench as it lies in `package`."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(package), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(params=["dropped", "given"])
def installed(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, list[str]]:
    """Where softbench lies, and the options that a command needs to know the mechanism."""
    if request.param == "given":
        return ROOT, ["--plugin", str(FILE)]
    unwanted = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "softbench", tmp_path / "copy" / "softbench", ignore=unwanted)
    shutil.copy(FILE, tmp_path / "copy" / "softbench" / "attention")
    return tmp_path / "copy", []


@pytest.mark.slow
def test_one_file_is_listed_checked_run_and_plotted(
    installed: tuple[Path, list[str]], tmp_path: Path
) -> None:
    package, options = installed
    listed = softbench(tmp_path, "list", "attention", *options, package=package)
    assert re.search("^linear_elu +Linear attention with elu", listed, re.MULTILINE)
    checked = softbench(tmp_path, "check", "linear_elu", *options, package=package)
    assert checked == "attention linear_elu: keeps its contract\n"
    (tmp_path / "new.yaml").write_text(SUITE)
    softbench(tmp_path, "run", "new.yaml", *options, package=package)
    (file,) = tmp_path.rglob(records.FILE)
    found = [r for r in records.read(file.parent) if r.case.attention == "linear_elu"]
    assert {r.status for r in found} == {"ok"}
    assert [r.values for r in found if r.metric == "flops"] == [[4 * 16 * 8**2], [4 * 64 * 8**2]]
    with (file.parent / "scaling.csv").open() as table:
        (label,) = {r["label"] for r in csv.DictReader(table) if r["attention"] == "linear_elu"}
    assert label in (file.parent / "scaling.svg").read_text()


@pytest.mark.slow
def test_one_file_is_timed_and_weighed(installed: tuple[Path, list[str]], tmp_path: Path) -> None:
    package, options = installed
    (tmp_path / "new.yaml").write_text(MEASURED)
    softbench(tmp_path, "run", "new.yaml", *options, package=package)
    (file,) = tmp_path.rglob(records.FILE)
    found = {(r.metric, r.case.mode): r for r in records.read(file.parent)}
    assert {r.status for r in found.values()} == {"ok"}
    for mode in ("forward", "forward_backward"):
        assert min(found["latency", mode].values) > 0
    # Features of queries and keys at least, and no more than a dozen tensors of their size.
    (peak,) = found["peak_memory", "forward"].values
    assert 2 * 16 * 8 * 4 <= peak <= 12 * 16 * 8 * 4
    (peak_of_both,) = found["peak_memory", "forward_backward"].values
    assert peak_of_both > peak


def test_without_the_file_it_is_unknown(tmp_path: Path) -> None:
    assert "linear_elu" not in softbench(tmp_path, "list", "attention")
