"""Records of two machines never share a figure or a table, and each says whose it is.

Mutants seen red: two machines in one group; the machine not named in the notes, in a table's title,
in the files of `pareto` and `roofline`.
"""

from __future__ import annotations

import csv
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from synthetic_records import case, counted, reached, record, timed

from softbench import plugins
from softbench.case import Record
from softbench.reports import _sheet

MACHINES = {"a" * 12: 1e-3, "b" * 12: 7e-3}
FOLDER = Path(_sheet.__file__).parent
OWN = sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))


def measured(environment: str, seconds: float) -> list[Record]:
    """What every report needs: times with their roofs, counts, errors, inverses, accuracies."""
    there: dict[str, Any] = {"environment": environment}
    params = [{"num_landmarks": 49, "inverse": "newton", "num_newton_iters": n} for n in (1, 9)]
    soft = [case("soft", params=one, inputs="smooth") for one in params]
    softmax = [case("softmax", backend=one, inputs="smooth") for one in ("eager", "sdpa")]
    every = [*soft, *softmax]
    made = [
        one
        for of in every
        for one in (
            *timed(of, seconds, **there, **reached(1e7, seconds, 1e6)),
            *counted(of, "flops", 10**7, **there, terms={"solver": 9}),
            *counted(of, "peak_memory", 2**20, **there),
            record(of, "accuracy", [0.8], **there),
        )
    ]
    errors = ("approximation_error", "softmax_error", "inverse_residual", "inverse_error")
    return made + [record(of, name, [0.5], **there) for of in soft for name in errors]


@pytest.fixture
def vector_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_sheet, "METADATA", {"svg": {"Date": None}})


@pytest.mark.usefixtures("vector_only")
@pytest.mark.parametrize("report", [plugins.load("reports", name) for name in OWN], ids=OWN)
def test_every_report_keeps_machines_apart_and_names_them(
    report: ModuleType, tmp_path: Path
) -> None:
    records = [one for machine in MACHINES.items() for one in measured(*machine)]
    paths = report.render(records, tmp_path)
    figures = [path for path in paths if path.suffix == ".svg"]
    tables = [path for path in paths if path.suffix == ".md"]
    sections = [part for path in tables for part in path.read_text().split("## ")[1:]]
    assert all("environment-" in section.split("\n")[0] for section in sections)
    parts = [*(path.read_text() for path in figures), *sections]
    for machine in MACHINES:
        own = [part for part in parts if machine[:8] in part]
        assert own
        assert not any(other[:8] in part for part in own for other in MACHINES if other != machine)
        assert not figures or any(machine[:8] in path.name for path in figures)
    assert all(any(machine[:8] in part for machine in MACHINES) for part in parts)


@pytest.mark.usefixtures("vector_only")
@pytest.mark.parametrize("report", [plugins.load("reports", name) for name in OWN], ids=OWN)
def test_one_machine_needs_no_name_and_every_row_keeps_it(
    report: ModuleType, tmp_path: Path
) -> None:
    machine, seconds = next(iter(MACHINES.items()))
    paths = report.render(measured(machine, seconds), tmp_path)
    assert not any(machine[:8] in path.name for path in paths)
    for path in paths:
        if path.suffix == ".csv":
            with path.open(encoding="utf-8", newline="") as file:
                assert {row["environment"] for row in csv.DictReader(file)} == {machine}
