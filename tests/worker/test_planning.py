"""What a worker says of cases that it does not run.

Mutants seen red: a backend that is not here told as running, a case refused for one metric told as
skipped, refused metrics told as running, time told without rates, an error that ends the plan, the
inputs' bytes left out of what must fit, a metric's own work told by the rates of the cases' dtype.
"""

from __future__ import annotations

from typing import Any

import pytest

from softbench import plugins
from softbench.case import Case, Shape
from softbench.metrics import flops
from softbench.metrics._roofline import Rates
from softbench.worker import budget, planning
from softbench.worker.budget import predict
from softbench.worker.planning import Outlook, plan_cases

RATES = Rates(gemm=1e9, stream=1e9, exponential=1e9)
BUDGET = {"case_seconds": 20.0, "suite_seconds": 600.0, "memory_fraction": 0.5}
METRICS = ("latency", "flops", "approximation_error")


def make(**fields: Any) -> Case:
    plain: dict[str, Any] = {
        "level": "operator", "attention": "softmax", "params": {}, "inputs": "normal",
        "dtype": "float32", "device": "cpu", "mode": "forward", "compile": False, "seed": 0,
        "shape": Shape(seq_len=16, head_dim=8), "backend": "eager",
    }  # fmt: skip
    return Case(**{**plain, **fields})


def planned(case: Case, rates: Rates | None = RATES, **outlook: Any) -> dict[str, Any]:
    entered: list[str] = []
    known = {"metrics": METRICS, "budget": BUDGET, "seen": {}, **outlook}
    [found] = plan_cases(
        [case], Outlook(rates=rates, **known), lambda case, _: entered.append(case)
    )
    assert entered == [found.pop("case")] == [case.id]
    return found


def test_a_case_that_would_run_is_told_with_its_cost() -> None:
    cost = predict(make(), {}, RATES)
    found = planned(make())
    besides = found.pop("besides")
    assert found == {
        "status": "run", "reason": None, "flops": cost.flops, "bytes": cost.bytes,
        "held_bytes": cost.held_bytes, "seconds": cost.seconds, "fits": True,
    }  # fmt: skip
    assert set(besides) == {"latency", "approximation_error"}
    assert besides["latency"] == 0.0 < besides["approximation_error"]


def test_what_was_seen_of_its_family_tells_its_time() -> None:
    case = make()
    assert planned(case, seen={case.family: [(10**12, 7.0)]})["status"] == "skipped"
    assert planned(case, seen={case.family: [(10**12, 3.0)]})["seconds"] == 3.0


def test_time_without_rates_is_not_told() -> None:
    found = planned(make(backend="efficient"), rates=None)  # a kernel that only CUDA has
    assert set(found) == {"status", "reason", "flops", "bytes", "held_bytes"}
    assert found["status"] == "run"


@pytest.mark.parametrize(
    ("backend", "status"), [("efficient", "unsupported"), ("nonsense", "error")]
)
def test_what_cannot_run_says_why(backend: str, status: str) -> None:
    found = planned(make(backend=backend))
    assert found["status"] == status
    assert found["reason"]


def test_at_a_length_where_nothing_runs_no_backend_is_asked_for() -> None:
    assert planned(make(backend="efficient"), metrics=[])["status"] == "run"


def test_what_does_not_fit_is_skipped_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    cost = predict(make(), {}, RATES)
    free = 2.0 * (cost.bytes + cost.held_bytes)  # of which a half may be used
    for more, fits in ((0, True), (-2, False)):
        for module in (budget, planning):
            monkeypatch.setattr(module, "memory_limit", lambda *_: (free + more) / 2)  # noqa: B023
        found = planned(make())
        assert found["fits"] is fits
        assert found["status"] == ("run" if fits else "skipped")
        assert ("more than" in (found["reason"] or "")) is not fits


def test_what_a_metric_computes_itself_goes_by_float32() -> None:
    slow, fast = (
        planned(make(), float32=Rates(gemm, 1e9, 1e9))["besides"]["approximation_error"]
        for gemm in (1e8, 1e9)
    )
    assert slow == pytest.approx(10 * fast)
    assert planned(make())["besides"]["approximation_error"] == fast  # float32 themselves


def test_a_metric_that_is_refused_alone_leaves_the_case_to_run() -> None:
    found = planned(make(), budget={**BUDGET, "case_seconds": 0.0015})
    assert found["status"] == "run"
    assert set(found["besides"]) == {"latency"}
    assert "of references" in found["reason"]


@pytest.mark.usefixtures("small_vit")
def test_a_model_is_planned_as_any_case_is() -> None:
    module = plugins.load("models", "small_vit")
    params = module.Params()
    model = {"name": "small_vit", **params.model_dump(mode="json")}
    case = make(level="model", model=model, shape=module.shape(params, 1))
    found = planned(case, metrics=("latency", "throughput", "flops"))
    assert found["status"] == "run"
    assert found["flops"] == sum(flops.closed_form(case).values())
    assert found["besides"] == {"latency": 0.0, "throughput": 0.0}
    longer = make(level="model", model={**model, "image_size": 64}, shape=case.shape)
    assert planned(longer, seen={case.family: [(10**12, 7.0)]})["status"] == "skipped"
    refused = make(level="model", model=model, shape=case.shape, attention="soft")
    assert planned(refused)["status"] == "unsupported"
