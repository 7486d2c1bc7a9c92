"""The deterministic layer against real changes of real code, each in a tree of its own.

What a change adds is caught by its name: the case, the count, from how many to how many. Each test
is a mutant itself; what lets one through was seen red by leaving out, in turn, the operators, the
peak, the FLOPs, the operators on the device and the backend that ran.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import softbench

pytestmark = pytest.mark.slow
PACKAGE = Path(softbench.__file__).parent
SUITE = """
shape: {num_heads: 1, head_dim: 32, seq_len: 196}
attention: {softmax: {backend: [eager, sdpa]}, soft: {num_landmarks: 16}}
mode: [forward, forward_backward]
device: cpu
dtype: float32
metrics: [flops]
"""
SOFTMAX, SDPA = "attention/softmax.py", "attention/_sdpa.py"
KERNEL = "functional.scaled_dot_product_attention(q_BHND, k_BHND, v_BHND)"


def gate(tree: Path, suite: Path, *options: str) -> tuple[int, dict[str, Any]]:
    """What the gate of the softbench in `tree` says of the suite."""
    program, writes = "from softbench.cli import main; main()", "--update-baseline" in options
    shown = [] if writes else ["--json"]
    ran = subprocess.run(
        [sys.executable, "-P", "-c", program, "gate", str(suite), *shown, *options],
        env={**os.environ, "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode in (0, 1, 4), ran.stderr
    return ran.returncode, {} if writes else json.loads(ran.stdout)


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("suite") / "given.yaml"
    path.write_text(SUITE)
    assert gate(PACKAGE.parent, path, "--update-baseline") == (0, {})
    return path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, tmp_path / "softbench", ignore=ignored)
    return tmp_path


def changed(tree: Path, file: str, old: str, new: str) -> None:
    path = tree / "softbench" / file
    text = path.read_text(encoding="utf-8")
    assert text.count(old) >= 1, (file, old)
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_the_same_code_in_another_tree_passes(tree: Path, suite: Path) -> None:
    code, found = gate(tree, suite)
    assert (code, found["verdict"], found["counted"]["cases"]) == (0, "pass", 6)


@pytest.mark.parametrize(
    ("file", "old", "new", "caught"),
    [
        pytest.param(
            SOFTMAX,
            "return scores_BHNN.softmax(-1) @ v_BHND",
            "return (scores_BHNN.softmax(-1) + 0) @ v_BHND",
            {("softmax/eager", "predicted_peak_memory"), ("softmax/eager", "operators")},
            id="an N×N temporary more",
        ),
        pytest.param(
            SOFTMAX,
            "scores_BHNN = (q_BHND / math.sqrt(q_BHND.shape[-1])) @ keys_BHND.mT",
            "scores_BHNN = (q_BHND / math.sqrt(q_BHND.shape[-1])) @ keys_BHND.mT; "
            "q_BHND @ keys_BHND.mT",
            {("softmax/eager", "dispatched_flops"), ("softmax/eager", "operators")},
            id="a matrix product more",
        ),
        pytest.param(
            "inverse/newton.py",
            "for _ in range(num_iters):",
            "for _ in range(num_iters + 1):",
            {("soft/eager", "dispatched_flops"), ("soft/eager", "operators")},
            id="a Newton iteration more",
        ),
        pytest.param(
            SOFTMAX,
            '"sdpa": attend_sdpa,',
            '"sdpa": attend,',
            {("softmax/sdpa", "predicted_peak_memory"), ("softmax/sdpa", "operators")},
            id="a backend that is another",
        ),
        pytest.param(
            SDPA,
            f"        return (q_BHND @ k_BHND.mT) @ v_BHND\n    return {KERNEL}",
            f"        return (q_BHND @ k_BHND.mT) @ v_BHND\n"
            f"    with sdpa_kernel(KERNELS['math']):\n        return {KERNEL}",
            {("softmax/sdpa", "operators on cpu")},
            id="a kernel that is another on the device alone",
        ),
        pytest.param(
            SDPA,
            "return str(SDPBackend(choice).name).lower()",
            "return 'math'",
            {("softmax/sdpa", "backend_ran")},
            id="a kernel that calls itself another",
        ),
    ],
)
def test_a_change_is_caught_by_what_it_adds(
    tree: Path, suite: Path, file: str, old: str, new: str, caught: set[tuple[str, str]]
) -> None:
    changed(tree, file, old, new)
    code, found = gate(tree, suite)
    assert (code, found["verdict"]) == (1, "regression")
    told = {(one["name"].split()[0], one["quantity"]) for one in found["counted"]["changes"]}
    assert caught <= told
    # and it is caught where it was made, and nowhere else
    assert {name for name, _ in told} == {name for name, _ in caught}
