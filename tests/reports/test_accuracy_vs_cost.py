"""Accuracy against cost: means, paired verdicts, costs of a sample, and files that say so."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from synthetic_records import case, record

from softbench.case import Record
from softbench.reports import _accuracy_table, accuracy_vs_cost
from softbench.reports._trained import fields

TASK: dict[str, Any] = {
    "name": "recall", "params": {"length": 64}, "recipe": {
        "epochs": 2, "batch_size": 8, "learning_rate": 1e-3,
    }, "train_samples": None, "test_samples": None,
}  # fmt: skip
MODEL = {"name": "vit", "dim": 32, "seq_len": 64}


def trained(attention: str, values: Sequence[float], **changes: Any) -> list[Record]:
    made = []
    for seed, value in enumerate(values):
        fields = {"level": "model", "model": MODEL, "task": TASK, **changes}
        shape = {"batch_size": 8, "seq_len": 64}
        one = case(attention, seed=seed, mode="forward_backward", shape=shape, **fields)
        curve = [{"epoch": 0, "test_accuracy": value / 2}, {"epoch": 1, "test_accuracy": value}]
        detail: dict[str, Any] = {
            "curve": curve,
            "step_peak_memory": 4096,
            "load": [0.5, 2.5],
            "tuning": "none",
            "majority": 0.1 + seed / 10,
        }
        made += [
            record(one, "accuracy", [value], better="higher", **detail),
            record(one, "training_cpu_time", [10.0 + seed]),
            record(one, "flops", [8000]),
            record(one, "parameters", [1234]),
        ]
    return made


BASE = (0.80, 0.70, 0.90)  # seeds differ more than mechanisms do
BETTER = (0.82, 0.721, 0.919)
OVERLAPPING = (0.86, 0.71, 0.88)


def rows(records: Sequence[Record]) -> dict[str, dict[str, Any]]:
    """The rows of the CSV by mechanism."""
    [field] = fields(records)
    return {str(row["attention"]): row for row in _accuracy_table.rows(field)}


def test_a_win_is_told_by_pairs_and_by_nothing_else() -> None:
    told = rows(
        trained("softmax", BASE) + trained("soft", BETTER) + trained("linformer", OVERLAPPING)
    )
    assert told["soft"]["low"] > 0
    assert told["soft"]["beats"] == "softmax (eager)"
    assert told["linformer"]["low"] < 0 < told["linformer"]["high"]
    assert told["linformer"]["beats"] == told["softmax"]["beats"] == ""


def test_an_unpaired_difference_is_no_win() -> None:
    """Far apart, but of other seeds: nothing can be said."""
    better = [r for r in trained("soft", (0.99, 0.98, 0.99, 0.99, 0.98, 0.99)) if r.case.seed > 2]
    told = rows(trained("softmax", BASE) + better)
    assert told["soft"]["without_interval"] == "no shared seed"
    assert told["soft"]["beats"] == ""
    [field] = fields(trained("softmax", BASE) + better)
    assert all(found.side == 0 for found in field.against_reference().values())


def test_tasks_in_one_folder_are_fields_of_their_own_with_short_names() -> None:
    more = {**TASK, "recipe": {**TASK["recipe"], "epochs": 4}}
    found = fields(trained("softmax", BASE) + trained("softmax", BETTER[:1], task=more))
    assert [field.words for field in found] == ["recall epochs 2", "recall epochs 4"]
    assert [field.suffix for field in found] == ["_recall-epochs-2", "_recall-epochs-4"]
    assert [field.majority for field in found] == [pytest.approx(0.2), pytest.approx(0.1)]


def test_costs_are_of_a_sample_and_means_over_seeds() -> None:
    told = rows(trained("softmax", BASE))["softmax"]
    assert (told["flops"], told["training_cpu_time"], told["step_peak_memory"]) == (1000, 11, 4096)
    assert told["accuracy"] == pytest.approx(0.8)


def test_what_was_lost_is_told_with_its_reason() -> None:
    broken = record(
        case("soft", seed=4, level="model", model=MODEL, task=TASK, mode="forward_backward",
             shape={"batch_size": 8, "seq_len": 64}),
        "accuracy", status="error", reason="the loss is nan at epoch 1",
    )  # fmt: skip
    [field] = fields([*trained("softmax", BASE), broken])
    text = " ".join(accuracy_vs_cost.notes(field, {}))
    assert "SOFT 4 (error: the loss is nan at epoch 1)" in text
    assert "Tuning: none." in text
    assert "0.5 to 2.5" in text


def test_a_task_is_a_figure_of_its_own(tmp_path: Path) -> None:
    other = {**TASK, "recipe": {**TASK["recipe"], "epochs": 9}}
    records = trained("softmax", BASE) + trained("soft", BETTER, task=other)
    files = {path.name for path in accuracy_vs_cost.render(records, tmp_path)}
    with (tmp_path / "accuracy_vs_cost.csv").open(encoding="utf-8") as file:
        assert [row["attention"] for row in csv.DictReader(file)] == ["softmax", "soft"]
    figures = sorted(name for name in files if name.endswith(".png"))
    assert len(figures) == 2
    assert all("epochs" in name for name in figures)
    assert [list(field.against_reference()) for field in fields(records)] == [[], []]


def test_records_without_accuracy_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no accuracy measured"):
        accuracy_vs_cost.render([r for r in trained("soft", BASE) if r.metric == "flops"], tmp_path)
