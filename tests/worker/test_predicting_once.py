"""A case is predicted by one worker, once, and rates are measured where something runs.

A process's first operator on the meta device imports seconds of torch, so a worker that is given
all costs must never run one. Mutants seen red: costs that were given ignored, costs not told, a
cost predicted for every metric, rates measured for counts, rates measured for every task, the meta
device measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from softbench.case import Case, Shape
from softbench.metrics._roofline import Rates
from softbench.protocol import Protocol
from softbench.worker import rates as room
from softbench.worker.budget import Cost, predict, told
from softbench.worker.doing import Doing
from softbench.worker.measuring import Task, measure_block
from softbench.worker.rates import UNLIMITED, Rating
from softbench.worker.serving import Server

RATES = Rates(gemm=1e11, stream=1e10, exponential=1e9)
BUDGET = {"case_seconds": 20.0, "suite_seconds": 600.0, "memory_fraction": 0.7}
QUICK = Protocol(sample_seconds=1e-3, warmup_seconds=1e-3, slow_seconds=1e-3)


def make(attention: str = "softmax", **fields: Any) -> Case:
    plain: dict[str, Any] = {
        "level": "operator", "params": {}, "inputs": "normal", "dtype": "float32", "seed": 0,
        "device": "cpu", "mode": "forward", "compile": False, "backend": "eager",
        "shape": Shape(seq_len=64, head_dim=8),
    }  # fmt: skip
    return Case(attention=attention, **{**plain, **fields})


CASES = [make(), make(backend="sdpa"), make("soft", params={"num_landmarks": 4})]


class OnMeta(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Lists the operators that had to do with the meta device."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        tensors = (leaf for leaf in tree_leaves((args, kwargs, output)) if isinstance(leaf, Tensor))
        if any(tensor.device.type == "meta" for tensor in tensors):
            self.found.append(str(func))
        return output


def answered(
    metrics: list[str], costs: dict[str, Any]
) -> tuple[list[dict[str, Any]], dict[str, Cost]]:
    """Answers of a block, and what was predicted for it."""
    wanted = {case.id: metrics for case in CASES}
    task = Task(CASES, wanted, 0, BUDGET, {}, RATES, QUICK, costs)
    predicted: dict[str, Cost] = {}
    found = list(measure_block(task, lambda *_: None, predicted.__setitem__))
    return found, predicted


def test_a_worker_that_is_given_all_costs_runs_no_meta_operator() -> None:
    torch.set_num_threads(1)
    costs = {case.id: told(predict(case, {}, RATES)) for case in CASES}
    seen = OnMeta()
    with seen:
        found, predicted = answered(["latency", "peak_memory"], costs)
    assert [answer["reason"] for answer in found] == [None] * 6
    assert (seen.found, predicted) == ([], {})
    first = next(answer for answer in found if answer["metric"] == "latency")
    assert first["detail"]["flops"] == costs[first["case"]]["work"]["flops"]


def test_what_is_not_known_is_predicted_once_and_told() -> None:
    known = told(predict(CASES[0], {}, RATES))
    seen = OnMeta()
    with seen:
        _, predicted = answered(["latency", "peak_memory"], {CASES[0].id: known})
    assert seen.found  # or the test above shows nothing
    assert predicted == {case.id: predict(case, {}, RATES) for case in CASES[1:]}


def test_a_count_predicts_nothing() -> None:
    assert answered(["flops", "parameters"], {})[1] == {}


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What rates were measured for."""
    found: list[tuple[str, str]] = []

    def measure(device: str, dtype: str) -> Rates:
        found.append((device, dtype))
        return RATES

    monkeypatch.setattr(room, "measure_rates", measure)
    return found


def test_rates_are_measured_once_a_device_and_dtype_and_told(
    measured: list[tuple[str, str]],
) -> None:
    events: list[dict[str, Any]] = []
    rating = Rating(events.append)
    for dtype in ("float32", "bfloat16", "float32"):
        assert rating.of("cpu", dtype) == RATES
    assert measured == [("cpu", "float32"), ("cpu", "bfloat16")]
    assert [(event["event"], event["dtype"]) for event in events] == [
        ("rates", "float32"),
        ("rates", "bfloat16"),
    ]
    assert events[0]["rates"] == {"gemm": 1e11, "stream": 1e10, "exponential": 1e9}


@pytest.mark.parametrize(("metric", "times"), [("parameters", 0), ("peak_memory", 1)])
def test_rates_are_measured_where_something_runs(
    measured: list[tuple[str, str]], metric: str, times: int, tmp_path: Path
) -> None:
    events: list[dict[str, Any]] = []
    (tmp_path / "doing").touch()
    server = Server(QUICK, Doing(tmp_path / "doing"), events.append)
    task = {
        "cases": [case.model_dump(mode="json") for case in CASES],
        "metrics": {case.id: [metric] for case in CASES},
        "repeat": 0, "budget": BUDGET, "seen": {}, "costs": {},
    }  # fmt: skip
    for _ in range(2):
        server.serve(task)
    assert measured == [("cpu", "float32")] * times
    kinds = [event["event"] for event in events]
    assert kinds.count("done") == 2
    assert kinds.count("measured") == 6
    assert kinds.count("predicted") == 6 * times


def test_on_meta_nothing_takes_time(measured: list[tuple[str, str]]) -> None:
    events: list[dict[str, Any]] = []
    assert Rating(events.append).of("meta", "float32") == UNLIMITED
    assert (measured, events) == ([], [])
    assert predict(make(device="meta"), {}, UNLIMITED).seconds < 1e-3
