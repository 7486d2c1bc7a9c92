"""`softbench gate` as typed: every path to exit 0, and what must never lead there.

The crew, the counts and the timing are stand-ins here; test_gate_whole.py has the real ones.

Mutants seen red: a code that is always 0; --allow-removed that forgives a missing baseline;
--allow-new that forgives missing cells; --inconclusive pass that forgives errors; a baseline
written though a case failed; timing skipped without a word; counts skipped without a word; --json
without its code; options that exclude each other let through.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from gate_cases import entry
from test_outcome import timed
from waiting_mechanism import tree

from softbench.cli import gating, main
from softbench.environment import Environment
from softbench.gate.baseline import Entry
from softbench.gate.naming import names
from softbench.gate.outcome import Trouble

Command = Callable[..., tuple[int, str, str]]
SUITE = """
shape: {num_heads: 1, head_dim: 8, seq_len: 16}
attention: {softmax: {}}
device: cpu
dtype: float32
metrics: [flops]
"""
CELL = "softmax/eager N=16 forward"


class FakeCrew:
    """A crew whose worker is never started."""

    torch = "2.11.0+cpu"

    def __init__(self, *_: object) -> None: ...
    def __enter__(self) -> FakeCrew:
        return self

    def __exit__(self, *_: object) -> None: ...
    def hire(self) -> None: ...
    def dismiss(self) -> None: ...
    def environment(self) -> Environment:
        return Environment(
            system="Linux x86_64", cpu="a processor", cores=2, memory=1, gpus=[], driver=None,
            cuda=None, python="3.11.0", libraries={"torch": self.torch}, threads=1, softbench="0",
        )  # fmt: skip


class Found:
    """What the stand-ins find; tests change it."""

    def __init__(self) -> None:
        self.counts: dict[str, Any] = {}
        self.failed: list[Trouble] = []
        self.timed: Any = timed("pass")
        self.untimed: list[Trouble] = []
        self.compared: list[Any] = []

    def counted(self, crew: Any, cases: Any, suite: Any) -> tuple[dict[str, Entry], list[Trouble]]:
        named = names(cases)
        failed = {trouble.name for trouble in self.failed}
        entries = {named[one.id]: entry(case=one, counts=self.counts) for one in cases}
        return {name: one for name, one in entries.items() if name not in failed}, self.failed

    def compare(self, asked: Any, tell: Any) -> tuple[Any, list[Trouble]]:
        self.compared.append(asked)
        return self.timed, self.untimed


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Found:
    stand_in = Found()
    monkeypatch.setattr(gating, "Crew", FakeCrew)
    monkeypatch.setattr(gating, "counted", stand_in.counted)
    monkeypatch.setattr(gating, "compare", stand_in.compare)
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    return stand_in


@pytest.fixture
def gate(
    found: Found,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Command]:
    """Runs `softbench gate given.yaml …` in a folder that holds the suite."""
    (tmp_path / "given.yaml").write_text(SUITE)
    (tmp_path / "before").mkdir()
    monkeypatch.chdir(tmp_path)

    def typed(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["softbench", "gate", "given.yaml", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        return int(str(ended.value.code)), told.out, told.err

    return typed  # type: ignore[return-value]


@pytest.fixture
def based(gate: Command) -> Command:
    """The same where a baseline lies beside the suite."""
    code, _, err = gate("--update-baseline")
    assert (code, "written, 1 case" in err) == (0, True)
    return gate


def test_a_baseline_is_written_and_written_again_the_same(based: Command, tmp_path: Path) -> None:
    before = (tmp_path / "given.baseline.json").read_bytes()
    code, _, err = based("--update-baseline")
    assert (code, (tmp_path / "given.baseline.json").read_bytes()) == (0, before)
    assert "unchanged" in err
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "before", "given.baseline.json", "given.yaml",
    ]  # fmt: skip


def test_no_baseline_is_written_where_a_case_failed(
    gate: Command, found: Found, tmp_path: Path
) -> None:
    found.failed = [Trouble(kind="failed", name=CELL, reason="no kernel")]
    code, _, err = gate("--update-baseline")
    assert code == 4
    assert "no kernel" in err
    assert not (tmp_path / "given.baseline.json").exists()


def test_equal_counts_pass(based: Command) -> None:
    code, out, _ = based()
    assert code == 0
    assert "Pass" in out.splitlines()[-1]
    assert "1 case against" in out


def test_another_count_is_a_regression_and_fewer_an_old_baseline(
    based: Command, found: Found
) -> None:
    found.counts = {"operators": 4}
    code, out, _ = based()
    assert code == 1
    assert f"{CELL}: operators 3 → 4 (+1, +33.3 %)" in out
    found.counts = {"operators": 2}
    code, out, _ = based()
    assert code == 4
    assert "baseline out of date" in out


def test_no_baseline_is_no_pass_whatever_is_allowed(gate: Command) -> None:
    for options in ((), ("--allow-new", "--allow-removed", "--inconclusive", "pass")):
        code, out, _ = gate(*options)
        assert code == 4
        assert "softbench gate given.yaml --update-baseline" in out


def test_another_torch_is_no_pass_and_says_what_makes_a_baseline(
    based: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeCrew, "torch", "2.12.0")
    code, out, _ = based()
    assert code == 4
    assert "has counts under torch 2.11.0; torch 2.12.0 is installed" in out
    assert "softbench gate given.yaml --update-baseline" in out


@pytest.mark.parametrize(
    ("suite", "code", "allowed"),
    [
        (SUITE.replace("softmax: {}", "linformer: {projection_length: 4}"), 4, None),
        (SUITE.replace("seq_len: 16", "seq_len: [16, 64]"), 4, "--allow-new"),
    ],
)
def test_a_cell_of_one_side_is_no_pass_unless_it_is_allowed(
    based: Command, tmp_path: Path, suite: str, code: int, allowed: str | None
) -> None:
    (tmp_path / "given.yaml").write_text(suite)
    assert based()[0] == code
    for option in ("--allow-new", "--allow-removed"):
        assert based(option)[0] == (0 if option == allowed else code)


def test_a_suite_of_which_nothing_is_left_does_not_pass(based: Command, tmp_path: Path) -> None:
    suite = SUITE.replace("softmax: {}", "linformer: {projection_length: 4}")
    (tmp_path / "given.yaml").write_text(suite)
    assert based("--allow-new", "--allow-removed")[0] == 4


def test_a_removed_cell_passes_where_it_is_allowed(gate: Command, tmp_path: Path) -> None:
    (tmp_path / "given.yaml").write_text(SUITE.replace("seq_len: 16", "seq_len: [16, 64]"))
    gate("--update-baseline")
    (tmp_path / "given.yaml").write_text(SUITE)
    assert gate()[0] == 4
    assert gate("--allow-new")[0] == 4
    assert gate("--allow-removed")[0] == 0


def test_a_case_that_fails_is_no_pass(based: Command, found: Found) -> None:
    found.failed = [Trouble(kind="failed", name=CELL, reason="no kernel")]
    code, out, _ = based("--allow-new", "--allow-removed")
    assert code == 4
    assert "no kernel" in out


TIMED = ("--base-path", "before", "--layer", "timing")


@pytest.mark.parametrize(
    ("verdict", "options", "code"),
    [
        ("pass", [], 0),
        ("regression", [], 1),
        ("regression", ["--inconclusive", "pass"], 1),
        ("inconclusive", [], 3),
        ("inconclusive", ["--inconclusive", "fail"], 3),
        ("inconclusive", ["--inconclusive", "warn"], 0),
        ("inconclusive", ["--inconclusive", "pass"], 0),
    ],
)
def test_timing_ends_with_its_verdict_and_the_policy(
    gate: Command, found: Found, verdict: str, options: list[str], code: int
) -> None:
    found.timed = timed("pass", verdict)
    ended, out, _ = gate(*TIMED, *options)
    assert ended == code
    if verdict != "pass":
        assert not out.splitlines()[-1].startswith("given: Pass")


def test_what_could_not_be_timed_is_no_pass(gate: Command, found: Found) -> None:
    found.untimed = [Trouble(kind="failed", name=CELL, reason="it died")]
    assert gate(*TIMED)[0] == 4
    found.timed = None
    found.untimed = [Trouble(kind="new", name=CELL, reason="base: no such")]
    assert gate(*TIMED)[0] == 4
    assert gate(*TIMED, "--allow-new")[0] == 4  # nothing was timed at all


def test_a_new_cell_passes_where_it_is_allowed(gate: Command, found: Found) -> None:
    found.untimed = [Trouble(kind="new", name=CELL, reason="base: no such")]
    assert gate(*TIMED)[0] == 4
    assert gate(*TIMED, "--allow-removed")[0] == 4
    assert gate(*TIMED, "--allow-new")[0] == 0


def test_with_a_base_both_layers_must_pass(based: Command, found: Found) -> None:
    assert based("--base-path", "before")[0] == 0
    found.timed = timed("inconclusive")
    assert based("--base-path", "before")[0] == 3
    found.timed, found.counts = timed("pass"), {"operators": 4}
    assert based("--base-path", "before")[0] == 1


def test_another_head_is_timed_and_the_counts_are_not_taken_for_its(
    gate: Command, found: Found, tmp_path: Path
) -> None:
    (tmp_path / "after").mkdir()
    code, out, _ = gate("--base-path", "before", "--head-path", "after")
    assert code == 0
    assert "counts:" not in out
    (asked,) = found.compared
    assert (asked.base.root, asked.head.root) == (
        str(tmp_path / "before"), str(tmp_path / "after"),
    )  # fmt: skip
    assert asked.words == ("before", "after")


def test_cells_and_rules_of_the_bases_own_suite_are_missed(gate: Command, tmp_path: Path) -> None:
    (tmp_path / "before" / "given.yaml").write_text(SUITE.replace("16}", "[16, 64]}"))
    code, out, _ = gate(*TIMED)
    assert code == 4
    assert "missing softmax/eager N=64 forward: the base's suite has this case" in out
    assert gate(*TIMED, "--allow-removed")[0] == 0
    (tmp_path / "before" / "given.yaml").write_text(f"{SUITE}gate: {{margin: 0.01}}\n")
    code, out, _ = gate(*TIMED, "--allow-removed", "--allow-new")
    assert code == 4
    assert "margin is 0.01 in the base's suite, 0.02 here" in out
    assert gate(*TIMED, "--allow-rules")[0] == 0
    (tmp_path / "before" / "given.yaml").write_text("x: [")
    assert gate(*TIMED, "--allow-removed", "--allow-new", "--allow-rules")[0] == 4


def test_a_page_that_cannot_be_written_is_no_regression_and_hides_nothing(
    gate: Command, found: Found
) -> None:
    code, out, err = gate(*TIMED, "--markdown", "before")  # a folder
    assert code == 2
    assert "Pass" in out
    assert "before" in err
    assert "not written" in err
    found.timed = timed("regression")
    assert "Regression" in gate(*TIMED, "--junit", "given.yaml/gate.xml")[1]


@pytest.mark.parametrize("error", [KeyError("counts"), BrokenPipeError(32, "Broken pipe")])
def test_a_defect_of_ours_is_neither_a_regression_nor_a_pass(
    gate: Command, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken(*_: Any) -> None:
        raise error

    monkeypatch.setattr(gating, "compare", broken)
    code, _, err = gate(*TIMED)
    assert code == 4
    assert ("Traceback" in err) is isinstance(error, KeyError)


def test_one_softbench_is_not_timed_for_another(gate: Command, tmp_path: Path) -> None:
    (tmp_path / "after" / "softbench").mkdir(parents=True)
    code, _, err = gate("--base-path", "before", "--head-path", "after")
    assert code == 2
    assert f"{tmp_path / 'before'} has none" in err


def test_a_plugin_file_of_the_heads_folder_is_each_sides_own(
    gate: Command, found: Found, tmp_path: Path
) -> None:
    for name in ("before", "after"):
        tree(tmp_path / name)
    sides = ("--base-path", "before", "--head-path", "after")
    assert gate(*sides, "--plugin", "after/waiting.py")[0] == 0
    (asked,) = found.compared
    assert asked.base.plugins == (str(tmp_path / "before" / "waiting.py"),)
    assert asked.head.plugins == (str(tmp_path / "after" / "waiting.py"),)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--layer", "timing"], "nothing to time against; give --base or --base-path"),
        (["--head-path", "before"], "nothing to time against"),
        (["--base", "main", "--base-path", "before"], "--base and --base-path do not go together"),
        (["--base", "main"], "no git checkout"),
        (["--base-path", "nowhere"], "no folder, wheel or virtual environment"),
        (["--layer", "counts", "--base-path", "before"], "--layer counts and --base"),
        (["--layer", "count"], "did you mean 'counts'?"),
        (["--inconclusive", "ignore"], "--inconclusive ignore: known: fail, pass, warn"),
        (["--update-baseline", "--base-path", "before"], "--update-baseline and --base"),
        (["--update-baseline", "--layer", "timing"], "--update-baseline and --layer"),
        (["--calibrate", "--base-path", "before"], "--calibrate and --base"),
        (["--calibrate", "--update-baseline"], "--calibrate and --update-baseline"),
        (["--calibrate", "--rounds", "0"], "--rounds 0: at least 1"),
        (["--calibrate", "--json"], "--calibrate and --json"),
        (["--calibrate", "--layer", "counts"], "--calibrate and --layer"),
        (["--calibrate", "--allow-new"], "--calibrate and --allow-new"),
        (["--rounds", "5"], "--rounds has a meaning beside --calibrate alone"),
        (["--out", "there"], "--out has a meaning beside --calibrate alone"),
        (["--update-baseline", "--markdown", "x.md"], "--update-baseline and --markdown"),
        (["--update-baseline", "--json"], "--update-baseline and --json"),
        (["--layer", "timing", "--base-path", "before", "--baseline", "x.json"], "--baseline"),
        (["--head-path", "before", "--base-path", "before", "--baseline", "x"], "--head-path and"),
        (["--plugin", "nowhere.py"], "no such Python file"),
        (["--nonsense"], "No such option"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(
    gate: Command, options: list[str], words: str
) -> None:
    code, out, err = gate(*options)
    assert (code, out) == (2, "")
    assert words in err
    assert len(err.strip().splitlines()) == 1


def test_a_baseline_of_something_else_is_not_written_over(gate: Command, tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text("{}")
    code, _, err = gate("--update-baseline", "--baseline", "mine.json")
    assert code == 2
    assert (tmp_path / "mine.json").read_text() == "{}"
    assert "mine.json" in err


def test_a_baseline_may_lie_elsewhere(gate: Command, tmp_path: Path) -> None:
    assert gate("--update-baseline", "--baseline", "deep/mine.json")[0] == 0
    assert gate("--baseline", "deep/mine.json")[0] == 0
    assert gate()[0] == 4
    code, out, _ = gate("--baseline", "none.json")
    assert code == 4
    assert "softbench gate given.yaml --baseline none.json --update-baseline" in out


def test_json_holds_the_outcome_its_verdict_and_its_code(based: Command, found: Found) -> None:
    found.timed = timed("pass", "inconclusive")
    code, out, _ = based("--base-path", "before", "--json")
    told = json.loads(out)
    assert (code, told["code"], told["verdict"]) == (3, 3, "inconclusive")
    assert [cell["verdict"] for cell in told["timed"]["cells"]] == ["pass", "inconclusive"]
    assert told["counted"]["cases"] == 1


def test_pages_are_written_where_they_are_asked_for(
    gate: Command, found: Found, tmp_path: Path
) -> None:
    found.timed = timed("regression")
    files = ("--markdown", "out/gate.md", "--junit", "out/gate.xml")
    assert gate(*TIMED, *files)[0] == 1
    assert "regression" in (tmp_path / "out" / "gate.md").read_text()
    root = ElementTree.parse(tmp_path / "out" / "gate.xml").getroot()
    assert int(root.get("failures", "0")) == 2


def test_in_githubs_runs_it_annotates_and_adds_to_the_summary(
    gate: Command, found: Found, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    (tmp_path / "summary.md").write_text("before\n")
    found.timed = timed("regression")
    code, out, err = gate(*TIMED, "--json")
    assert code == 1
    assert json.loads(out)["code"] == 1
    assert "::error title=Slower::" in err
    summary = (tmp_path / "summary.md").read_text()
    assert summary.startswith("before\n## ")
