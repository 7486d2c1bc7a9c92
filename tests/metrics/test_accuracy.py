"""The metric accuracy: the same from the same seed, killed or not, within its budget, and told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from softbench.case import Case, Measurement, Unsupported
from softbench.metrics import accuracy
from softbench.metrics._energy import Energy
from softbench.metrics._roofline import Rates
from softbench.metrics._training import seconds, task_of
from softbench.protocol import Protocol
from softbench.suite import expand, parse
from softbench.training._small_training import Training
from softbench.worker.measuring import Task, measure_block
from softbench.worker.planning import Outlook, plan_cases
from softbench.workload import build

MECHANISMS: dict[str, dict[str, Any]] = {
    "softmax": {},
    "soft": {"landmarks": "pool", "num_landmarks": 4},
    "soft_norm": {"landmarks": "pool", "num_landmarks": 4},
    "linformer": {"projection_length": 4},
    "performer": {"num_features": 16},
    "nystromformer": {"num_landmarks": 4},
}
RATES = Rates(gemm=1e10, stream=1e9, exponential=1e8)


def case(attention: str = "softmax", seed: int = 0, dim: int = 16, **task: Any) -> Case:
    given = {"train_samples": 64, "test_samples": 32, "batch_size": 16, **task}
    suite = parse(
        {
            "level": "model",
            "model": {
                "name": "vit", "patch_size": 2, "depth": 1, "dim": dim, "num_heads": 2,
                "pos_std": 0.5,
            },
            "task": {"name": "digits", **given},
            "attention": {attention: MECHANISMS[attention]},
            "mode": "forward_backward", "seed": seed, "repeats": 1, "metrics": ["accuracy"],
        },
        "given", "given.yaml",
    )  # fmt: skip
    return expand(suite, "cpu")[0]


def measured(of: Case, place: Path | None = None) -> dict[str, Measurement]:
    return accuracy.measure(replace(build(of), place=place), Protocol())


def learned(found: dict[str, Measurement]) -> list[tuple[float, ...]]:
    curve = found["accuracy"].detail["curve"]
    return [tuple(v for v in epoch.values() if not isinstance(v, dict)) for epoch in curve]


@pytest.mark.parametrize("attention", sorted(MECHANISMS))
def test_the_same_seed_gives_the_same_curve_and_another_gives_another(attention: str) -> None:
    first, again = measured(case(attention)), measured(case(attention))
    other = measured(case(attention, seed=1))
    assert first["accuracy"].values == again["accuracy"].values
    assert learned(first) == learned(again)
    assert learned(first) != learned(other)


def test_what_is_told_beside_the_accuracy() -> None:
    found = measured(case(epochs=3))
    detail = found["accuracy"].detail
    assert found["accuracy"].values == [detail["curve"][-1]["test_accuracy"]]
    assert len(detail["curve"]) == 3
    assert (detail["train_samples"], detail["test_samples"]) == (64, 32)
    assert detail["step_peak_memory"] > 0
    assert detail["parameters"] == sum(p.numel() for p in build(case()).module.parameters())
    assert detail["energy"]["joules"] is None
    assert "one recipe for all" in detail["tuning"]
    spent = sum(epoch["training"]["cpu_seconds"] for epoch in detail["curve"])
    assert found["training_cpu_time"].values == [pytest.approx(spent)]
    assert len(found["training_time"].detail["load"]) == 2


@pytest.mark.parametrize("attention", sorted(MECHANISMS))
def test_a_killed_training_goes_on_to_the_same_curve(
    attention: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = case(attention, epochs=3)
    whole = measured(of)
    trained = Training.epoch

    def killed(self: Training, epoch: int) -> Any:
        if epoch == 2:
            raise KeyboardInterrupt
        return trained(self, epoch)

    monkeypatch.setattr(Training, "epoch", killed)
    with pytest.raises(KeyboardInterrupt):
        measured(of, tmp_path)
    monkeypatch.undo()
    assert [file.stem for file in tmp_path.iterdir()] == [of.id]
    rest = measured(of, tmp_path)
    assert rest["accuracy"].detail["resumed_at"] == 2
    assert learned(rest) == learned(whole)
    assert list(tmp_path.iterdir()) == []  # what is measured needs no checkpoint


def test_mechanisms_with_one_seed_meet_the_same_samples() -> None:
    one, other = task_of(case("softmax")), task_of(case("soft"))
    assert one.train.inputs.equal(other.train.inputs)
    assert len(one.train) == 64


def test_a_case_without_a_task_or_a_device_is_unsupported() -> None:
    of = case()
    with pytest.raises(Unsupported, match="no task"):
        measured(of.model_copy(update={"task": None}))
    with pytest.raises(Unsupported, match="meta"):
        measured(of.model_copy(update={"device": "meta"}))


def test_the_seconds_foretold_are_those_of_the_whole_training() -> None:
    short, long = seconds(case(epochs=1)), seconds(case(epochs=100))
    assert short > 0
    assert 20 < long / short < 500  # a clock's noise aside, a hundred times as long


def test_a_training_over_its_budget_is_skipped_and_planned_so() -> None:
    of = case(epochs=10_000)
    budget = {"case_seconds": 1.0, "suite_seconds": 10.0, "memory_fraction": 0.7}
    task = Task(
        cases=[of], metrics={of.id: ["accuracy"]}, repeat=0, budget=budget, seen={}, rates=RATES,
        protocol=Protocol(),
    )  # fmt: skip
    answers = list(measure_block(task, lambda case_id, metric: None))
    assert {a["metric"] for a in answers} == set(accuracy.QUANTITIES)
    assert {a["status"] for a in answers} == {"skipped"}
    assert "a training of" in answers[0]["reason"]
    assert answers[0]["detail"]["training_seconds"] > 1
    assert "predicted" not in answers[1]["detail"]  # a call's seconds are no training's
    outlook = Outlook(["accuracy"], budget, {}, RATES)
    [planned] = plan_cases([of], outlook, lambda case_id, metric: None)
    assert planned["status"] == "skipped"


def test_a_training_in_its_budget_is_measured_and_its_time_is_no_calls() -> None:
    of = case()
    budget = {"case_seconds": 100.0, "suite_seconds": 100.0, "memory_fraction": 0.7}
    task = Task(
        cases=[of], metrics={of.id: ["accuracy"]}, repeat=0, budget=budget, seen={}, rates=RATES,
        protocol=Protocol(),
    )  # fmt: skip
    answers = {a["metric"]: a for a in measure_block(task, lambda case_id, metric: None)}
    assert {a["status"] for a in answers.values()} == {"ok"}
    assert "roofline" not in answers["training_time"]["detail"]


def test_energy_says_why_there_is_none() -> None:
    assert Energy("cpu").told() == {"joules": None, "reason": "no counter of energy on this device"}


@pytest.mark.slow
@pytest.mark.parametrize("attention", sorted(MECHANISMS))
def test_every_mechanism_can_learn_256_digits_by_heart(attention: str) -> None:
    """It is the train accuracy that is looked at: what 256 images are enough to learn by heart."""
    of = case(
        attention, dim=48, train_samples=256, test_samples=32, batch_size=32, epochs=80,
        learning_rate=3e-3, weight_decay=0.0,
    )  # fmt: skip
    curve = measured(of)["accuracy"].detail["curve"]
    assert max(epoch["train_accuracy"] for epoch in curve) == 1.0
