"""The scripts that check softbench's own figures can fail: outside their limits they end with 1.

Mutants seen red: a row outside overlooked, only the last column looked at, code 0 outside, no cell
at all taken for agreement, wide intervals not said, one in ten cells let pass, a law's own name
taken for a wrong one.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from softbench.statistics.comparison import Ratio

FOLDER = Path(__file__).parent.parent / "results" / "validation"


def script(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    found = importlib.util.spec_from_file_location(f"validation_{name}", FOLDER / f"{name}.py")
    assert found
    assert found.loader
    module = importlib.util.module_from_spec(found)
    monkeypatch.setitem(sys.modules, module.__name__, module)  # dataclasses look their module up
    found.loader.exec_module(module)
    return module


@pytest.fixture
def intervals(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return script("intervals", monkeypatch)


@pytest.fixture
def repeatability(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return script("repeatability", monkeypatch)


def test_a_row_outside_its_limits_is_found_in_every_column(intervals: ModuleType) -> None:
    limits = intervals.between(93, 97, "Floor", "Scale")
    rows = [["3", "93.0", "97.0"], ["5", "92.9", "95.0"], ["10", "95.0", "97.1"]]
    table = intervals.table("Laws", "Processes | Floor | Scale", iter(rows), limits)
    assert table.outside == ["Laws: 5 | 92.9 | 95.0", "Laws: 10 | 95.0 | 97.1"]
    assert "Limits: 93 to 97 % (Floor, Scale)." in table.text


@pytest.mark.parametrize(
    ("truth", "linear", "quadratic", "kept"),
    [
        ("linear", "0.0", "5.1", False),
        ("linear", "90.0", "5.0", True),
        ("quadratic", "5.1", "90.0", False),
        ("N log N", "3.0", "2.1", False),
        ("0.5 + 1e-7 N², N = 256 to 8192", "0.0", "90.0", True),
    ],
)
def test_a_law_may_be_called_another_once_in_twenty_times(
    intervals: ModuleType, truth: str, linear: str, quadratic: str, kept: bool
) -> None:
    row = {"Truth": truth, "Linear": linear, "Quadratic": quadratic}
    assert intervals.seldom(row) is kept


@pytest.mark.parametrize(("called", "code"), [("5.0", 0), ("5.1", 1)])
def test_simulations_outside_their_limits_end_with_1(
    intervals: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, called: str, code: int
) -> None:
    def told(_: Any) -> Any:
        limits = intervals.between(0, 5, "Called")
        yield intervals.table("Fronts", "Options | Called", iter([["2", called]]), limits)

    monkeypatch.setattr(intervals, "__file__", str(tmp_path / "intervals.py"))
    for name in ("laws_told", "shared_told", "judgements_told"):
        monkeypatch.setattr(intervals, name, told)
    assert intervals.main() == code
    text = (tmp_path / "intervals.md").read_text("utf-8")
    assert f"**{3 * code} rows outside their limits.**" in text


def cells(*ends: tuple[float, float]) -> dict[str, Ratio]:
    made = (Ratio((low * high) ** 0.5, low, high, None, 0) for low, high in ends)
    return {str(at): one for at, one in enumerate(made)}


def test_two_runs_may_differ_in_one_cell_of_twenty(repeatability: ModuleType) -> None:
    alike, apart = (0.95, 1.05), (1.01, 1.2)
    assert repeatability.kept(cells(*[alike] * 19, apart))
    assert not repeatability.kept(cells(*[alike] * 18, apart, apart))
    assert not repeatability.kept({"0": Ratio(1.0, None, None, "few calls", None)})
    assert not repeatability.kept({})


def test_how_wide_the_intervals_are_is_said(repeatability: ModuleType) -> None:
    narrow, wide = cells((0.95, 1.05)), cells((0.25, 4.0))
    assert "Half an interval is ±5.1% of the ratio (median). 0" in repeatability.summary(narrow)
    said = repeatability.summary(wide)
    assert "±300.0% of the ratio (median). **That is wide: a difference below 300%" in said
    assert "nothing is shown" in repeatability.summary({})
