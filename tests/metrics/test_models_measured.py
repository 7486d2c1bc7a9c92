"""Every metric of a model: counts by two ways, memory predicted and measured, what has no meaning.

Mutants seen red: the closed form of the mechanism in place of the model's, the embedding counted
with a gradient of the image, gradients of inputs in the bytes that a case stands on, the output
taken for one of heads, metrics of heads asked of a model.
"""

from __future__ import annotations

from typing import Any

import pytest

from softbench import plugins
from softbench.case import Case, Unsupported
from softbench.metrics import (
    approximation_error,
    flops,
    inverse_residual,
    parameters,
    peak_memory,
    predicted_peak_memory,
)  # fmt: skip
from softbench.metrics._work import work_of
from softbench.protocol import Protocol
from softbench.suite import expand, find, parse, read
from softbench.worker.budget import predict
from softbench.worker.rates import UNLIMITED
from softbench.workload import build

pytestmark = pytest.mark.usefixtures("small_vit")
FEW = {"num_landmarks": 16}


def make(attention: str = "softmax", **fields: Any) -> Case:
    module = plugins.load("models", "small_vit")
    params = module.Params(image_size=128, dim=32)
    plain: dict[str, Any] = {
        "level": "model", "params": {}, "backend": "eager", "inputs": "normal", "seed": 0,
        "dtype": "float32", "device": "cpu", "mode": "forward", "compile": False,
        "model": {"name": "small_vit", **params.model_dump(mode="json")},
    }  # fmt: skip
    return Case(attention=attention, shape=module.shape(params, 2), **{**plain, **fields})


MECHANISMS: list[tuple[str, str, dict[str, Any]]] = [
    ("softmax", "eager", {}),
    ("softmax", "sdpa", {}),
    ("soft", "eager", FEW),
    ("soft", "auto", FEW),
    ("linformer", "eager", {}),
    ("performer", "fused", {}),
]


@pytest.mark.parametrize("mode", ["forward", "forward_backward"])
@pytest.mark.parametrize(("attention", "backend", "params"), MECHANISMS)
def test_closed_form_and_dispatch_agree_and_the_peak_is_foretold(
    attention: str, backend: str, params: dict[str, Any], mode: str
) -> None:
    case = make(attention, backend=backend, params=params, mode=mode)
    counted = flops.measure(build(case), Protocol())
    assert counted["flops"].values[0] > counted["macs"].values[0] > 0
    (told,) = predicted_peak_memory.measure(build(case), Protocol())["predicted_peak_memory"].values
    (peak,) = peak_memory.measure(build(case), Protocol())["peak_memory"].values
    assert told == pytest.approx(peak, rel=0.03)


def test_parameters_are_those_of_the_whole_model() -> None:
    (count,) = parameters.measure(build(make()), Protocol())["parameters"].values
    attention, mlp, norms = 4 * (32 * 32 + 32), 2 * 32 * 64 + 64 + 32, 4 * 32
    assert count == 2 * (attention + mlp + norms) + (48 * 32 + 32) + (32 * 10 + 10)


def test_a_case_stands_on_its_weights_their_gradients_and_its_images() -> None:
    for mode, weights in (("forward", 1), ("forward_backward", 2)):
        workload = build(make(mode=mode))
        learned = sum(one.nbytes for one in workload.module.parameters())
        images, logits = 2 * 3 * 128 * 128 * 4, 2 * 10 * 4
        cotangent = logits if mode == "forward_backward" else 0
        held = weights * learned + images + cotangent
        assert predict(make(mode=mode), {}, UNLIMITED).held_bytes == held
        assert work_of(make(mode=mode)).compulsory_bytes == held + logits


@pytest.mark.parametrize("metric", [approximation_error, inverse_residual])
def test_what_looks_at_heads_is_unsupported_and_costs_nothing(metric: Any) -> None:
    case = make("soft", params=FEW)
    assert metric.work(case) == 0
    with pytest.raises(Unsupported, match="given heads; take level operator, not model"):
        next(iter(metric.measure(build(case), Protocol())))


def test_prediction_needs_no_memory_at_any_length() -> None:
    module = plugins.load("models", "small_vit")
    params = module.Params(image_size=2**14, dim=32)
    model = {"name": "small_vit", **params.model_dump(mode="json")}
    long = make().model_copy(update={"model": model, "shape": module.shape(params, 1)})
    assert predicted_peak_memory.predict(long) > 2**44


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["forward", "forward_backward"])
def test_the_suite_of_table_2_has_the_papers_backbone_in_it(mode: str) -> None:
    path = find("pyramid")
    [soft] = [
        case
        for case in expand(parse(read(path), "pyramid", str(path)), "cpu")
        if (case.attention, case.backend, case.mode) == ("soft", "eager", mode)
    ]
    workload = build(soft)
    (count,) = parameters.measure(workload, Protocol())["parameters"].values
    assert count == 13_069_056  # 13 M, the paper's Table 1
    counted = flops.measure(workload, Protocol())
    if mode == "forward":
        assert counted["macs"].values[0] == pytest.approx(1.969e9, rel=1e-3)
        assert counted["macs_with_newton"].values[0] == pytest.approx(2.157e9, rel=1e-3)
    (peak,) = peak_memory.measure(workload, Protocol())["peak_memory"].values
    assert predicted_peak_memory.predict(soft) == pytest.approx(peak, rel=0.02)
