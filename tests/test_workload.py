"""Workloads: what is drawn, from which seed, on which device, and what one step leaves behind.

Mutants that turned a test here red: clearing of gradients removed; one stream shared by all
tensors; inputs drawn in the case's dtype; the output's device and dtype not checked; weights or
inputs of a meta case made on the host; requires_grad in forward; smooth field laid out as
[B, H, D, N]; the global stream not put back; autograd left on in forward; one mechanism's inputs
laid out otherwise.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.profiler import profile

from softbench import plugins
from softbench.attention import soft, softmax
from softbench.case import Case, Shape, Unsupported
from softbench.workload import Workload, build, params_of
from softbench.workload.operator import Operator

SMALL: dict[str, Any] = {"seq_len": 16, "num_heads": 2, "head_dim": 4}


def make(attention: str = "softmax", shape: dict[str, Any] = SMALL, **fields: Any) -> Case:
    plain: dict[str, Any] = {
        "level": "operator", "params": {}, "backend": "eager", "inputs": "normal",
        "dtype": "float32", "device": "cpu", "mode": "forward", "compile": False, "seed": 0,
    }  # fmt: skip
    return Case(attention=attention, shape=Shape(**shape), **{**plain, **fields})


def test_operator_inputs_are_heads_and_soft_has_no_keys() -> None:
    softmax_inputs, soft_inputs = build(make()).inputs, build(make("soft", params=FEW)).inputs
    assert [tuple(x.shape) for x in softmax_inputs] == [(1, 2, 16, 4)] * 3
    assert [tuple(x.shape) for x in soft_inputs] == [(1, 2, 16, 4)] * 2


FEW = {"num_landmarks": 4}


def test_mechanisms_of_a_block_see_the_same_queries_and_values() -> None:
    q_BHND, _, v_BHND = build(make()).inputs
    soft_q_BHND, soft_v_BHND = build(make("soft", params=FEW)).inputs
    assert torch.equal(q_BHND, soft_q_BHND)
    assert torch.equal(v_BHND, soft_v_BHND)


def test_tensors_differ_from_one_another_and_between_seeds() -> None:
    q_BHND, k_BHND, v_BHND = build(make()).inputs
    other_q_BHND = build(make(seed=1)).inputs[0]
    assert not torch.equal(q_BHND, k_BHND)
    assert not torch.equal(k_BHND, v_BHND)
    assert not torch.equal(q_BHND, other_q_BHND)


def test_building_twice_gives_the_same_inputs_weights_and_cotangent() -> None:
    case = make("soft", level="layer", mode="forward_backward", params=FEW)
    first, second = build(case), build(case)
    torch.rand(1)  # the global stream moves on and must not matter
    assert torch.equal(first.inputs[0], second.inputs[0])
    assert first.cotangent is not None
    assert second.cotangent is not None
    assert torch.equal(first.cotangent, second.cotangent)
    for one, other in zip(first.module.parameters(), second.module.parameters(), strict=True):
        assert torch.equal(one, other)


def test_building_leaves_the_global_stream_alone() -> None:
    before = torch.random.get_rng_state()
    build(make("soft", level="layer", params=FEW))
    assert torch.equal(before, torch.random.get_rng_state())


def test_values_are_drawn_in_float32_whatever_the_dtype() -> None:
    q_BHND = build(make()).inputs[0]
    half_q_BHND = build(make(dtype="bfloat16")).inputs[0]
    assert torch.equal(q_BHND.to(torch.bfloat16), half_q_BHND)
    assert half_q_BHND.dtype == torch.bfloat16


def test_normal_inputs_are_standard_normal() -> None:
    q_BHND = build(make(shape={"seq_len": 4096, "num_heads": 4})).inputs[0]
    assert abs(float(q_BHND.mean())) < 0.01
    assert abs(float(q_BHND.std()) - 1) < 0.01


@pytest.mark.parametrize("shape", [{"seq_len": 13 * 19, "grid": (13, 19)}, {"seq_len": 247}])
def test_smooth_inputs_run_through_the_points_of_a_seven_point_field(shape: dict[str, Any]) -> None:
    grid = shape.get("grid", (247,))
    q_BHND = build(make(shape=shape, inputs="smooth")).inputs[0]
    field = q_BHND.reshape(1, 8, *grid, 64)
    # The last axis has 19 or 247 tokens: 3 or 41 steps from one of the 7 points to the next.
    step = (grid[-1] - 1) // 6
    along = field.movedim(-2, 0)
    bends = (along[2:] - 2 * along[1:-1] + along[:-2]).abs().flatten(1).amax(1)
    at_points = torch.arange(step - 1, len(bends), step)
    assert float(bends[at_points].min()) > 1e-3
    bends[at_points] = 0
    assert float(bends.max()) < 1e-5
    assert 0.8 < float(along[0].std()) < 1.2


def test_layer_input_is_tokens_by_channels() -> None:
    case = make(level="layer")
    workload = build(case)
    assert workload.inputs[0].shape == (1, 16, 8)
    assert workload.step().shape == (1, 16, 8)


def test_modes_decide_training_and_gradients() -> None:
    forward, backward = build(make()), build(make(mode="forward_backward"))
    assert not forward.module.training
    assert forward.cotangent is None
    assert not any(x.requires_grad for x in forward.inputs)
    assert not forward.step().requires_grad
    assert backward.module.training
    assert all(x.requires_grad for x in backward.inputs)


@pytest.mark.parametrize("mode", ["forward", "forward_backward"])
def test_autograd_is_on_only_where_there_is_a_backward(mode: str) -> None:
    seen: list[bool] = []
    workload = build(make("soft", level="layer", mode=mode, params=FEW))
    workload.module.register_forward_pre_hook(
        lambda module, given: seen.append(torch.is_grad_enabled())
    )
    workload.step()
    assert seen == [mode == "forward_backward"]
    assert any(parameter.requires_grad for parameter in workload.module.parameters())


@pytest.mark.parametrize("attention", plugins.names("attention"))
def test_every_mechanism_is_given_the_same_layout(attention: str) -> None:
    shape = {"seq_len": 49, "num_heads": 2, "head_dim": 4}
    heads = build(make(attention, shape=shape)).inputs
    assert {(tuple(x.shape), x.stride(), x.dtype, x.device.type) for x in heads} == {
        ((1, 2, 49, 4), (392, 196, 4, 1), torch.float32, "cpu")
    }
    (x_BNC,) = build(make(attention, level="layer", shape=shape)).inputs
    assert tuple(x_BNC.shape) == (1, 49, 8)
    assert x_BNC.is_contiguous()


def test_five_steps_leave_the_gradients_of_one() -> None:
    case = make("soft", level="layer", mode="forward_backward", params=FEW)
    once, often = build(case), build(case)
    once.step()
    for _ in range(5):
        often.step()
    for one, other in zip(_leaves(once), _leaves(often), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        assert torch.equal(one.grad, other.grad)


def test_gradients_are_cleared_to_none() -> None:
    workload = build(make(mode="forward_backward"))
    workload.step()
    workload.clear_gradients()
    assert all(leaf.grad is None for leaf in _leaves(workload))


def test_learned_weights_are_parameters_and_drawn_ones_buffers() -> None:
    weights = {"learned": nn.Parameter(torch.ones(2)), "drawn": torch.ones(3)}
    seen: dict[str, Tensor] = {}

    def attend(q_BHND: Tensor, k_BHND: Tensor, v_BHND: Tensor, **named: Any) -> Tensor:
        seen.update(named["weights"])
        return v_BHND

    module = Operator(attend, weights, None, Shape(seq_len=16), shares_keys=False).double()
    x_BHND = torch.ones(1, 1, 16, 2)
    module(x_BHND, x_BHND, x_BHND)
    assert [name for name, _ in module.named_parameters()] == ["learned"]
    assert [name for name, _ in module.named_buffers()] == ["drawn"]
    assert seen["learned"].dtype == seen["drawn"].dtype == torch.float64


def test_unknown_backend_names_the_nearest() -> None:
    with pytest.raises(plugins.UnknownNameError, match="no backend 'spda'; did you mean 'sdpa'"):
        build(make(backend="spda"))


def test_what_a_mechanism_does_not_support_is_unsupported_with_its_reason() -> None:
    case = make("soft", params={"num_landmarks": 10_000})
    reason = soft.supports(case.shape, params_of(case))
    with pytest.raises(Unsupported) as caught:
        build(case)
    assert str(caught.value) == reason


def test_level_defaults_fill_what_a_case_leaves_out() -> None:
    layer = params_of(make("soft", level="layer"))
    assert layer.landmarks == soft.LEVEL_DEFAULTS["layer"]["landmarks"]
    assert params_of(make("soft", level="layer", params={"landmarks": "pool"})).landmarks == "pool"


@pytest.mark.parametrize("wrong", [torch.float64, torch.float16])
def test_output_of_another_dtype_is_an_error(
    monkeypatch: pytest.MonkeyPatch, wrong: torch.dtype
) -> None:
    monkeypatch.setitem(softmax.BACKENDS, "eager", lambda q, k, v, **_: v.to(wrong))
    with pytest.raises(RuntimeError, match=r"the case asks for torch\.float32 on cpu"):
        build(make()).step()


def test_output_on_another_device_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(softmax.BACKENDS, "eager", lambda q, k, v, **_: v.to("meta"))
    with pytest.raises(RuntimeError, match="on meta"):
        build(make()).step()


@pytest.mark.parametrize("level", ["operator", "layer"])
def test_a_million_tokens_on_meta_allocate_nothing_on_the_host(level: str) -> None:
    case = make(
        "soft", level=level, shape={"seq_len": 1 << 20}, device="meta", mode="forward_backward"
    )
    with profile(profile_memory=True) as profiler:
        output = build(case).step()
    assert profiler.kineto_results is not None
    events = [e for e in profiler.kineto_results.events() if e.name() == "[memory]"]
    assert output.shape[-2] == 1 << 20
    assert sum(max(0, event.nbytes()) for event in events) < 1 << 20


@pytest.mark.parametrize(("device", "compiled"), [("cpu", True), ("meta", False)])
def test_compile_compiles_except_on_meta(
    monkeypatch: pytest.MonkeyPatch, device: str, compiled: bool
) -> None:
    calls: list[nn.Module] = []
    monkeypatch.setattr(nn.Module, "compile", lambda self: calls.append(self))
    build(make(device=device, compile=True))
    assert bool(calls) is compiled


def test_synchronize_waits_for_the_cases_own_cuda_device(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[str] = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    build(make()).synchronize()
    assert waited == []
    on_cuda = make(device="cuda:1")
    Workload(on_cuda, nn.Identity(), (), None).synchronize()
    assert waited == ["cuda:1"]


def _leaves(workload: Workload) -> list[Tensor]:
    return [*workload.inputs, *workload.module.parameters()]
