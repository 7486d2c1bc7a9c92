"""What rounds say of the gate: on rounds made up, of which is known what must come out.

Mutants seen red: alarms of slowed heads counted as false; the first rounds counted for what is
found in the cells they chose; a slowed head's other cells let in; looks of groups with all of
alpha; intervals of other counts; cells in another order.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from softbench.environment import Environment, Invocation
from softbench.gate.calibrating import TRIED, calibrated
from softbench.gate.calibration_page import page
from softbench.gate.pairs import Samples
from softbench.gate.rounds import EXTRAS, FILE, FolderHeldError, Round, append, held, read
from softbench.gate.rules import Timing
from softbench.statistics import sign_flip
from softbench.statistics.sign_flip import Floats
from softbench.suite import Gate, parse

INVOCATION = Invocation(
    id="0" * 12, command="c", started="s", load=[], clock_mhz=None, commit=None, dirty=None,
    plugins={},
)  # fmt: skip
MACHINE = Environment(
    system="Linux x86_64", cpu="a processor", cores=2, memory=1, gpus=[], driver=None, cuda=None,
    python="3.11.0", libraries={"torch": "2.11.0"}, threads=1, softbench="0",
)  # fmt: skip


def pair(dice: np.random.Generator, scatter: list[float], ratios: Mapping[str, float]) -> Samples:
    """One pair: a process of every side, each with a level of its own."""
    found: Samples = {}
    for side in ("base", *EXTRAS):
        slowdown = 1 + EXTRAS.get(side, 0) / 20
        levels = [
            1e6 * slowdown * ratios.get(side, 1.0) * np.exp(dice.normal(0, one)) for one in scatter
        ]
        found[side] = [[round(level * (1 + slot / 100)) for slot in range(8)] for level in levels]
    return found


def rounds(
    count: int, scatter: list[float], ratios: Mapping[int, Mapping[str, float]] | None = None
) -> list[Round]:
    """Rounds of cells that scatter so much; ratios: of some rounds, by side."""
    dice = np.random.default_rng(0)
    return [
        Round(
            schema=1, round=number, timing=Timing(), environment="e", invocation=INVOCATION,
            seconds=1.0, load_after=[0.5], cells=[f"cell {i}" for i in range(len(scatter))],
            pairs=[pair(dice, scatter, (ratios or {}).get(number, {})) for _ in range(12)],
        )
        for number in range(count)
    ]  # fmt: skip


def test_quiet_cells_are_judged_and_noisy_ones_named() -> None:
    found = calibrated(rounds(26, [0.01, 0.3]), Gate(max_pairs=12))
    assert found.judged == [0]
    assert found.later == 26 - TRIED
    assert found.found["head+20%"][:, 0].mean() == 1.0
    assert found.found["head+20%"][:, 1].mean() < 0.4
    assert {row[0] for row in found.verdicts} == {"pass"}
    assert "inconclusive" in {row[1] for row in found.verdicts}
    assert found.scatter == pytest.approx([0.01 * 2**0.5, 0.3 * 2**0.5], rel=0.2)


def test_an_alarm_is_a_regression_of_the_identical_head_and_no_other() -> None:
    alike = calibrated(rounds(6, [0.01, 0.01]), Gate(max_pairs=12))
    assert alike.alarms == [False] * 6
    odd = calibrated(rounds(6, [0.01, 0.01], {2: {"head": 1.2}}), Gate(max_pairs=12))
    assert odd.alarms == [number == 2 for number in range(6)]
    slowed = calibrated(rounds(3, [0.01, 0.01], {2: {"head+20%": 5.0}}), Gate(max_pairs=12))
    assert slowed.alarms == [False] * 3


def test_rounds_are_put_together_and_looked_at_as_the_gate_does() -> None:
    gate = Gate(max_pairs=36)
    assert calibrated(rounds(7, [0.01]), gate).escalated == [False, False]
    odd = {number: {"head": 1.2} for number in (3, 4, 5)}
    assert calibrated(rounds(7, [0.01], odd), gate).escalated == [False, True]
    # Two rounds of three that are odd come too late: the first look has let the group pass.
    late = {number: {"head": 1.2} for number in (1, 2)}
    assert calibrated(rounds(3, [0.01], late), gate).escalated == [False]


def test_the_first_look_finds_less_than_one_that_spends_all() -> None:
    """Some slowdowns lie between what one look of all alpha finds and what the first of three."""
    found = calibrated(rounds(30, [0.05]), Gate(max_pairs=36))
    for name, cells_RC in found.found.items():
        assert (found.found_first[name] <= cells_RC).all()
    assert found.found_first["head+10%"].sum() < found.found["head+10%"].sum()


def test_a_slowed_cell_stands_among_identical_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def noted(values_KC: Floats, *others: Any) -> Floats:
        seen.append(values_KC.mean(axis=0))
        return p_values(values_KC, *others)

    p_values = sign_flip.p_values
    monkeypatch.setattr(sign_flip, "p_values", noted)
    calibrated(rounds(1, [0.001, 0.001]), Gate(max_pairs=12, margin=0.0))
    slowdowns = [np.log(1 + extra / 20) for extra in EXTRAS.values() if extra]
    expected = [row for slow in slowdowns for row in ([slow, 0.0], [0.0, slow])]
    assert np.array(seen) == pytest.approx(np.array(expected), abs=0.002)


def test_the_page_says_what_was_found_of_how_many() -> None:
    raw = {"shape": {"seq_len": 16}, "attention": {"softmax": {}}, "metrics": ["flops"]}
    suite = parse(raw, "given", "given")
    found = calibrated(rounds(25, [0.01, 0.3], {3: {"head": 1.2}}), suite.gate)
    text = page(found, suite, ["quiet", "noisy"], Timing(), MACHINE)
    rows = {line.split(" | ")[0].strip("| "): line for line in text.splitlines() if "|" in line}
    assert "`softbench gate given --calibrate --rounds 25`" in text
    assert "took 1 to 1 s, the 1-minute load was 0.5 to 0.5" in text
    assert "| 1 | 25 | 4.0 % | 0.1 to 20.4 % |" in rows["false alarms, rounds with any"]
    assert "| 8 |" in rows["false alarms, 3 looks at up to 36 pairs"]
    assert "| 0 | 5 | 0.0 % |" in rows["of these in the later rounds"]
    assert "| 5 | 5 | 100.0 % |" in rows["+20 % in one that can be judged"]
    assert "| 5 | 5 | 100.0 % |" in rows["+20 % the same, by the first of 3 looks"]
    assert rows["quiet"].endswith("yes |")
    assert rows["noisy"].endswith("no |")


def test_few_rounds_say_nothing_yet_of_the_cells_they_chose() -> None:
    raw = {"shape": {"seq_len": 16}, "attention": {"softmax": {}}, "metrics": ["flops"]}
    suite = parse(raw, "given", "given")
    text = page(calibrated(rounds(2, [0.01]), suite.gate), suite, ["c"], Timing(), MACHINE)
    assert "in one that can be judged" not in text
    assert "first 2 rounds" in text
    assert "| – | 0 | – | – |" in text


def test_rounds_are_read_as_they_were_kept(tmp_path: Path) -> None:
    kept = rounds(2, [0.01])
    for one in kept:
        append(one, tmp_path)
    assert read(tmp_path) == kept
    assert read(tmp_path / "nowhere") == []


def test_a_round_that_was_cut_off_is_none_and_gives_way(tmp_path: Path) -> None:
    one, other = rounds(2, [0.01])
    append(one, tmp_path)
    whole = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(whole + whole[:100])
    assert read(tmp_path) == [one]
    append(other, tmp_path)
    assert read(tmp_path) == [one, other]


def test_one_calibration_at_a_time_adds_to_a_folder(tmp_path: Path) -> None:
    with (
        held(tmp_path),
        pytest.raises(FolderHeldError, match="another calibration"),
        held(tmp_path),
    ):
        pass
    with held(tmp_path):
        pass
