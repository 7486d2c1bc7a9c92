"""A suite's cases as items of pytest-benchmark, in real runs of pytest in new processes.

Mutants seen red: extra_info left empty; a count that differs let pass; a missing case no item; an
item for it that --benchmark-only skips; another torch's baseline taken; a deleted benchmark of the
compared run let pass; a deselected one told as deleted; the suite's folder collected besides.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from softbench.gate import baseline

ROOT = Path(__file__).parents[2]
PLUGIN = "softbench.pytest_plugin"
SUITE = """
shape: {num_heads: 1, head_dim: 8, seq_len: 16}
attention: {softmax: {}, linformer: {projection_length: 4}}
device: cpu
dtype: float32
metrics: [latency]
"""
SOFTMAX, LINFORMER = "softmax/eager N=16 forward", "linformer/eager N=16 forward"
QUICK = ("--benchmark-max-time=0.05", "--benchmark-min-rounds=3")


def loaded() -> list[str]:
    """Where softbench is installed with its entry point, pytest loads the plugin by itself."""
    installed = any(one.value == PLUGIN for one in entry_points(group="pytest11"))
    return [] if installed else ["-p", PLUGIN]


def run(folder: Path, *options: str) -> tuple[int, str]:
    """Code and output of pytest in the folder."""
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *loaded(), *QUICK, *options],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COLUMNS": "200"},
        timeout=300,
    )
    return ran.returncode, ran.stdout + ran.stderr


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a suite, its baseline, and a test that is none of the suite's."""
    folder = tmp_path_factory.mktemp("held")
    (folder / "given.yaml").write_text(SUITE)
    (folder / "test_other.py").write_text("def test_other():\n    assert False\n")
    program = "import sys; from softbench.cli import main; main()"
    command = [sys.executable, "-c", program, "gate", "given.yaml", "--update-baseline"]
    subprocess.run(
        command, cwd=folder, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=300
    )
    return folder


@pytest.fixture
def folder(held: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    for file in held.iterdir():
        if file.is_file():
            (tmp_path / file.name).write_text(file.read_text())
    return tmp_path


def known(folder: Path) -> tuple[Path, Any]:
    path = folder / "given.baseline.json"
    return path, json.loads(path.read_text())


def test_the_entry_point_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"softbench": PLUGIN}


def test_importing_it_brings_neither_torch_nor_the_rest_of_the_house() -> None:
    program = (
        f"import sys, {PLUGIN}\n"
        "print([m for m in sys.modules if m.startswith(('torch', 'numpy', 'pydantic'))"
        " or m.startswith('softbench.') and 'pytest_plugin' not in m])"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert told.stdout.strip() == "[]"


def test_without_the_option_nothing_changes(folder: Path) -> None:
    code, out = run(folder)
    assert code == 1
    assert "1 failed" in out
    assert "given.yaml" not in out


@pytest.mark.slow
def test_cases_are_items_with_counts_that_are_saved_and_compared(folder: Path) -> None:
    code, out = run(folder, "--softbench", "given.yaml", "--benchmark-autosave")
    assert code == 0, out
    assert "2 passed" in out
    assert re.search("benchmark 'operator B=1 H=1 N=16 D=8 float32 cpu forward': 2 tests", out)
    (saved,) = (folder / ".benchmarks").rglob("0001_*.json")
    by_name = {one["name"]: one for one in json.loads(saved.read_text())["benchmarks"]}
    assert set(by_name) == {SOFTMAX, LINFORMER}
    entries = next(iter(known(folder)[1]["torch"].values()))
    for name, one in by_name.items():
        assert one["fullname"] == f"given.yaml::{name}"
        extra = one["extra_info"]
        assert {key: extra[key] for key in baseline.QUANTITIES} == {
            "parameters": 0, **entries[name]["counts"],
        }  # fmt: skip
        assert extra["backend_ran"] == "eager"
        assert re.fullmatch("[0-9a-f]{16}", extra["case"])
    code, out = run(folder, "--softbench", "given.yaml", "--benchmark-compare")
    assert code == 0, out
    assert "(0001_" in out


@pytest.mark.slow
def test_a_count_that_is_another_fails_the_item_that_pytest_benchmark_passes(folder: Path) -> None:
    path, content = known(folder)
    entry = next(iter(content["torch"].values()))[SOFTMAX]
    entry["counts"]["dispatched_flops"] -= 1
    path.write_text(json.dumps(content))
    code, out = run(folder, "--softbench", "given.yaml", "-k", "softmax")
    assert code == 1
    assert re.search(rf"{re.escape(SOFTMAX)}: dispatched_flops [\d,]+ → [\d,]+ FLOP \(\+1", out)
    assert "1 failed, 1 deselected" in out


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--benchmark-only",)], ids=["plain", "only"])
def test_a_case_that_the_suite_lost_is_an_item_that_fails(
    folder: Path, options: tuple[str, ...]
) -> None:
    (folder / "given.yaml").write_text(SUITE.replace("softmax: {}, ", ""))
    code, out = run(folder, "--softbench", "given.yaml", "-k", "missing", *options)
    assert code == 1
    assert f"has {SOFTMAX}, the suite has not" in out
    assert "1 failed, 1 deselected" in out


@pytest.mark.slow
def test_a_baseline_of_another_torch_fails_with_what_makes_one(folder: Path) -> None:
    path, content = known(folder)
    content["torch"] = {"1.0.0": next(iter(content["torch"].values()))}
    path.write_text(json.dumps(content))
    for selected in ("baseline", "softmax"):  # whatever is selected, nothing passes
        code, out = run(folder, "--softbench", "given.yaml", "-k", selected)
        assert code == 1
        assert "has counts under torch 1.0.0" in out
        assert "--update-baseline" in out


@pytest.mark.slow
def test_without_a_baseline_nothing_passes_unless_that_is_asked_for(folder: Path) -> None:
    (folder / "given.baseline.json").unlink()
    code, out = run(folder, "--softbench", "given.yaml", "-k", "softmax")
    assert code == 1
    assert "no baseline" in out
    code, out = run(folder, "--softbench", "given.yaml", "-k", "baseline")
    assert code == 1
    assert "softbench gate given.yaml --update-baseline makes one" in out
    code, out = run(folder, "--softbench", "given.yaml", "--softbench-no-baseline", "-k", "softmax")
    assert code == 0, out
    code, out = run(folder, "--softbench", "given.yaml", "--softbench-baseline", "none.json")
    assert code == 1
    assert "no baseline none.json" in out


@pytest.mark.slow
def test_a_benchmark_of_the_compared_run_that_is_gone_fails_the_session(folder: Path) -> None:
    (folder / "given.baseline.json").unlink()  # nothing but the comparison may see it
    unheld = ("--softbench", "given.yaml", "--softbench-no-baseline")
    assert run(folder, *unheld, "--benchmark-autosave")[0] == 0
    compared = (*unheld, "--benchmark-compare")
    code, out = run(folder, *compared, "-k", "softmax")
    assert code == 0, out
    assert "1 benchmarks of the compared run were not asked for" in out
    (folder / "given.yaml").write_text(SUITE.replace("softmax: {}, ", ""))
    code, out = run(folder, *compared)
    assert code == 1
    assert f"given.yaml::{SOFTMAX}: the compared run has it, this suite no longer has it" in out
    assert "1 passed" in out


@pytest.mark.slow
def test_the_suite_is_collected_beside_what_is_named(folder: Path) -> None:
    code, out = run(folder, "--softbench", "given.yaml", "--collect-only", "-q", "test_other.py")
    assert code == 0, out
    assert f"given.yaml::{SOFTMAX}" in out
    assert "test_other.py::test_other" in out
    code, out = run(folder, "--softbench", "given.yaml", "--collect-only", "-q")
    assert "test_other" not in out
    item = f"given.yaml::{SOFTMAX}"
    code, out = run(folder, "--softbench", "given.yaml", "--collect-only", "-q", item)
    assert [line for line in out.splitlines() if "::" in line] == [item]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--softbench", "smok"], "no suite 'smok'; did you mean 'smoke'?"),
        (["--softbench", "given.yaml", "-p", "no:benchmark"], "needs pytest-benchmark"),
        (
            ["--softbench", "smoke", "--softbench", "ci", "--softbench-baseline", "x.json"],
            "--softbench-baseline is of one suite",
        ),
    ],
)
def test_what_cannot_be_run_is_refused_in_a_line(
    folder: Path, options: list[str], words: str
) -> None:
    given = [option for option in options if option != "given.yaml" or "-p" in options]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *loaded(), *given],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert ran.returncode == 4
    assert words in ran.stderr


def test_a_suite_that_is_wrong_is_an_error_with_softbenchs_words(folder: Path) -> None:
    (folder / "given.yaml").write_text(SUITE.replace("softmax", "sotfmax"))
    code, out = run(folder, "--softbench", "given.yaml")
    assert code == 2
    assert "no attention 'sotfmax'; did you mean 'softmax'?" in out
    assert "Traceback" not in out
