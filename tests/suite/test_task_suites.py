"""Suites with a task: complete in the case, the model fitted to it, what may not go together."""

from __future__ import annotations

from typing import Any

import pytest

from softbench.case import Case
from softbench.suite import Suite, SuiteError, expand, is_clocked, parse

TINY = {"name": "vit", "patch_size": 2, "depth": 1, "dim": 16, "num_heads": 2}


def suite(**changes: Any) -> Suite:
    plain = {
        "level": "model",
        "model": TINY,
        "task": {"name": "digits", "epochs": 3, "batch_size": 32},
        "attention": {"softmax": {}, "linformer": {"projection_length": 4}},
        "mode": "forward_backward",
        "seed": [0, 1],
        "repeats": 1,
        "metrics": ["accuracy", "flops"],
    }
    return parse({**plain, **changes}, "given", "given.yaml")


def cases(**changes: Any) -> list[Case]:
    return expand(suite(**changes), "cpu")


def test_a_case_holds_the_whole_task_and_the_model_that_it_asks_for() -> None:
    case = cases()[0]
    task = case.task or {}
    assert (task["name"], task["params"]) == ("digits", {"test_share": 0.2, "split": 0})
    assert task["recipe"]["epochs"] == 3
    assert task["recipe"]["learning_rate"] == 1e-3
    assert (task["train_samples"], task["test_samples"]) == (None, None)
    model = case.model or {}
    assert (model["image_size"], model["in_chans"], model["num_classes"]) == (8, 1, 10)
    assert (case.shape.seq_len, case.shape.batch_size) == (16, 32)
    assert case.label == "vit softmax/eager N=16 digits seed 0"
    assert Case.model_validate_json(case.model_dump_json()) == case


def test_a_sequence_brings_its_vocabulary_and_lengths_are_an_axis() -> None:
    task = {"name": "recall", "length": [16, 32], "num_pairs": 4, "train_samples": 100}
    found = cases(model={"name": "vit", "depth": 1, "dim": 16, "num_heads": 2}, task=task, seed=0)
    assert [case.shape.seq_len for case in found] == [16, 16, 32, 32]
    assert {(case.model or {})["vocabulary"] for case in found} == {1 + 4 + 16}
    assert {(case.task or {})["train_samples"] for case in found} == {100}


def test_seeds_come_one_after_the_other_and_every_training_is_a_block() -> None:
    found = cases()
    assert [(case.seed, case.attention) for case in found] == [
        (0, "softmax"), (0, "linformer"), (1, "softmax"), (1, "linformer")
    ]  # fmt: skip
    assert len({case.block for case in found}) == len({case.id for case in found}) == 4


def test_the_id_changes_with_the_task() -> None:
    [one], [other] = (
        cases(attention={"softmax": {}}, seed=0, task={"name": "digits", "epochs": n})
        for n in (1, 2)
    )
    assert one.id != other.id
    assert one.family != other.family


def test_on_cuda_training_is_in_float32_alone() -> None:
    assert {case.dtype for case in expand(suite(device="cuda"), "cuda")} == {"float32"}


@pytest.mark.parametrize(
    ("changes", "fragments"),
    [
        ({"task": {"name": "digit"}}, ["no tasks 'digit'", "did you mean 'digits'?"]),
        ({"task": {"name": "digits", "epoch": 1}}, ["no 'epoch'", "did you mean 'epochs'?"]),
        ({"task": {"name": "digits", "tset_share": 1}}, ["'tset_share'", "'test_share'?"]),
        ({"task": {"name": "digits", "epochs": 0}}, ["task: digits: epochs: 0 is refused"]),
        ({"task": {"name": "digits", "test_share": 2}}, ["test_share: 2"]),
        ({"task": {"name": "digits", "train_samples": 0}}, ["train_samples"]),
        ({"task": None}, ["accuracy needs the key task"]),
        ({"metrics": ["flops"]}, ["task: no metric of the suite trains", "add accuracy"]),
        ({"repeats": 3}, ["repeats: 3 would train the same twice", "seed: [0, 1, 2]"]),
        ({"mode": "forward"}, ["mode: forward_backward alone"]),
        ({"dtype": "bfloat16"}, ["trains in float32 alone"]),
        ({"shape": {"batch_size": 4}}, ["task.batch_size is the size of a batch"]),
        ({"model": {**TINY, "num_classes": 7}}, ["model.num_classes: 7", "has 10", "leave it out"]),
        ({"model": {**TINY, "image_size": 32}}, ["model.image_size: 32", "has 8"]),
        ({"level": "layer", "model": None}, ["task: it goes with level model"]),
        ({"workers": 0}, ["workers: 0"]),
    ],
)
def test_what_does_not_go_together_is_refused(
    changes: dict[str, Any], fragments: list[str]
) -> None:
    with pytest.raises(SuiteError) as refused:
        cases(**changes)
    assert [part for part in fragments if part not in str(refused.value)] == [], refused.value


def test_several_workers_count_train_and_clock() -> None:
    assert suite(workers=2).workers == 2
    assert cases(workers=2, metrics=["accuracy", "latency", "flops", "parameters"])
    metrics = ("accuracy", "flops", "latency", "throughput")
    assert list(filter(is_clocked, metrics)) == ["latency", "throughput"]
