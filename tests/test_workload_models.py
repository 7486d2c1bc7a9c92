"""Workloads of level model: a seeded backbone, its input, logits, and a training step.

Mutants seen red: gradients asked of the input, train and eval exchanged, the input drawn from the
weights' stream, the input of a meta case made on the host, the model's own reason not asked for,
the cotangent of another seed each time.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from softbench import plugins
from softbench.case import Case, Unsupported
from softbench.workload import build
from softbench.workload.outputs import output_numel

pytestmark = pytest.mark.usefixtures("small_vit")


def make(attention: str = "softmax", sizes: dict[str, Any] | None = None, **fields: Any) -> Case:
    module = plugins.load("models", "small_vit")
    params = module.Params(**(sizes or {}))
    plain: dict[str, Any] = {
        "level": "model", "params": {}, "backend": "eager", "inputs": "normal", "seed": 0,
        "dtype": "float32", "device": "cpu", "mode": "forward", "compile": False,
        "model": {"name": "small_vit", **params.model_dump(mode="json")},
    }  # fmt: skip
    return Case(attention=attention, shape=module.shape(params, 2), **{**plain, **fields})


def test_a_step_gives_logits_in_eval_and_leaves_no_graph() -> None:
    workload = build(make())
    output = workload.step()
    assert output.shape == (2, 10)
    assert output_numel(workload.case) == output.numel()
    assert not output.requires_grad
    assert not workload.module.training
    assert [tuple(x.shape) for x in workload.inputs] == [(2, 3, 32, 32)]


def test_a_training_step_leaves_the_gradients_of_parameters_and_of_no_input() -> None:
    workload = build(make(mode="forward_backward"))
    first, again = workload.step(), workload.step()
    assert torch.equal(first, again)
    assert workload.module.training
    assert workload.inputs[0].grad is None
    assert not workload.inputs[0].requires_grad
    by_hand = build(make(mode="forward_backward"))
    logits_BK = by_hand.module(*by_hand.inputs)
    assert by_hand.cotangent is not None
    (logits_BK * by_hand.cotangent).sum().backward()
    pairs = list(zip(workload.module.parameters(), by_hand.module.parameters(), strict=True))
    assert all(torch.allclose(one.grad, other.grad) for one, other in pairs)  # type: ignore[arg-type]
    workload.clear_gradients()
    assert all(one.grad is None for one in workload.module.parameters())


def test_the_seed_is_all_that_a_model_depends_on() -> None:
    case = make("soft", params={"num_landmarks": 16}, mode="forward_backward")
    before = torch.random.get_rng_state()
    first, second, other = build(case), build(case), build(case.model_copy(update={"seed": 1}))
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(first.step(), second.step())
    assert not torch.equal(first.inputs[0], other.inputs[0])
    assert not torch.equal(first.module.head.weight, other.module.head.weight)  # type: ignore[union-attr,arg-type]


def test_every_mechanism_of_a_block_sees_the_same_images() -> None:
    soft = build(make("soft", params={"num_landmarks": 16}))
    assert torch.equal(soft.inputs[0], build(make()).inputs[0])


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_weights_and_images_have_the_cases_dtype(dtype: str) -> None:
    workload = build(make(dtype=dtype))
    assert {x.dtype for x in workload.module.parameters()} == {getattr(torch, dtype)}
    assert workload.step().dtype == workload.inputs[0].dtype == getattr(torch, dtype)


def test_on_the_meta_device_the_host_allocates_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = plugins.load("models", "small_vit")
    drawn: list[str] = []
    draw = module.draw

    def watched(*given: Any) -> Tensor:
        x_BCHW: Tensor = draw(*given)
        drawn.append(x_BCHW.device.type)
        return x_BCHW

    monkeypatch.setattr(module, "draw", watched)
    workload = build(make(device="meta", mode="forward_backward"))
    assert drawn == ["meta"]
    assert workload.step().is_meta
    assert workload.cotangent is not None
    assert workload.cotangent.is_meta


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ({"sizes": {"dim": 16, "num_heads": 3}}, "dim 16 does not go into 3 heads"),
        ({"attention": "soft", "params": {"num_landmarks": 5}}, "8x8 grid"),
    ],
)
def test_what_the_model_cannot_have_is_unsupported_in_its_words(
    case: dict[str, Any], reason: str
) -> None:
    with pytest.raises(Unsupported, match=reason):
        build(make(**case))


def test_a_compiled_model_is_the_same_model() -> None:
    workload = build(make(compile=True))
    assert workload.module._compiled_call_impl is not None
