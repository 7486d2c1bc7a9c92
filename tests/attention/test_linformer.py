"""Linformer against the ports' values, its limit, and what it refuses.

Broken on purpose, each of these turned a test here red: E for the values too, F for the keys, no
scaling, scaling by D, softmax over queries, one projection for heads that have their own, `share`
ignored, projections cut to a shorter input, one compressed token more than tokens let through.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mechanism_checks import attend, leaves, relative, seeded, tokens
from pydantic import ValidationError
from torch import Tensor

from softbench.attention import linformer, softmax
from softbench.case import Shape, Unsupported

PRECISIONS = [(torch.float64, 1e-9, 1e-7), (torch.float32, 4e-6, 6e-6)]
BOTH = pytest.mark.parametrize("backend", ["eager", "fused"])


def golden_call(
    backend: str, params: linformer.Params, values: dict[str, Tensor], **weights: Tensor
) -> Tensor:
    q, k, v = (values[name] for name in "qkv")
    return linformer.BACKENDS[backend](q, k, v, params=params, weights=weights, grid=None)


@BOTH
@pytest.mark.parametrize(("dtype", "output_bound", "gradient_bound"), PRECISIONS)
def test_a_projection_for_each_head_and_for_both(
    golden: Any, dtype: torch.dtype, output_bound: float, gradient_bound: float, backend: str
) -> None:
    values = golden("linformer", "mlpen_a")
    leaf = leaves(values, dtype)
    params = linformer.Params(projection_length=8, share="kv", per_head=True)
    out = golden_call(backend, params, leaf, key_projection=leaf["E"])
    torch.autograd.backward(out, leaf["cot"].detach())
    assert relative(out, values["out"]) < output_bound
    for name in ("q", "k", "v", "E"):
        assert relative(leaf[name].grad, values[f"d_{name}"]) < gradient_bound, name


@BOTH
@pytest.mark.parametrize(("dtype", "output_bound", "gradient_bound"), PRECISIONS)
def test_a_projection_for_all_heads_and_two_for_keys_and_values(
    golden: Any, dtype: torch.dtype, output_bound: float, gradient_bound: float, backend: str
) -> None:
    values = {name: value[None] for name, value in golden("linformer", "xf_a").items()}
    leaf = leaves(values, dtype)
    e, f = leaf["E.weight"][0], leaf["F.weight"][0]
    params = linformer.Params(projection_length=12)
    out = golden_call(backend, params, leaf, key_projection=e, value_projection=f)
    torch.autograd.backward(out, leaf["cot"].detach())
    assert relative(out, values["out"]) < output_bound
    for name in ("q", "k", "v", "E.weight", "F.weight"):
        assert relative(leaf[name].grad, values[f"d_{name}"]) < gradient_bound, name


def layer_weights(values: dict[str, Tensor], prefix: str = "") -> dict[str, Tensor]:
    """The port's weights (or, by prefix, gradients) under our names."""
    weights = {f"{kind}_proj.weight": values[f"{prefix}to_{kind}.weight"] for kind in "qkv"}
    return weights | {
        "out_proj.weight": values[f"{prefix}to_out.weight"],
        "out_proj.bias": values[f"{prefix}to_out.bias"],
        "key_projection": values[f"{prefix}proj_k"].mT,
        "value_projection": values[f"{prefix}proj_v"].mT,
    }


@BOTH
@pytest.mark.parametrize(("dtype", "output_bound", "gradient_bound"), PRECISIONS)
def test_layer(
    golden: Any, dtype: torch.dtype, output_bound: float, gradient_bound: float, backend: str
) -> None:
    values = golden("linformer", "lucid_a")
    shape = Shape(batch_size=1, num_heads=2, seq_len=49, head_dim=8)
    params = linformer.Params(projection_length=8)
    layer = linformer.Attention(shape, params, backend=backend, generator=seeded()).to(dtype)
    no_bias = {f"{kind}_proj.bias": torch.zeros(16) for kind in "qkv"}
    layer.load_state_dict(layer_weights(values) | no_bias)
    x = values["x"].to(dtype).requires_grad_()
    out = layer(x)
    torch.autograd.backward(out, values["cot"].to(dtype))
    assert relative(out, values["out"]) < output_bound
    assert relative(x.grad, values["d_x"]) < gradient_bound
    for name, wanted in layer_weights(values, "d_").items():
        assert relative(layer.get_parameter(name).grad, wanted) < gradient_bound, name


@pytest.mark.parametrize("per_head", [False, True])
def test_identity_projections_leave_softmax(per_head: bool) -> None:
    q, k, v = (tokens(2, 3, 12, 4, seed=seed) for seed in range(3))
    params = linformer.Params(projection_length=12, per_head=per_head)
    identity = torch.eye(12, dtype=torch.float64).expand(*([3] if per_head else []), 12, 12)
    weights = {"key_projection": identity, "value_projection": identity}
    out = linformer.attend(q, k, v, params=params, weights=weights, grid=None)
    wanted = softmax.attend(q, k, v, params=softmax.Params(), weights={}, grid=None)
    assert relative(out, wanted) < 1e-12
    assert relative(linformer.exact(q, k, v, params), wanted) < 1e-12


@pytest.mark.parametrize(
    ("options", "sizes"),
    [
        ({}, {"key_projection": (5, 40), "value_projection": (5, 40)}),
        ({"share": "kv"}, {"key_projection": (5, 40)}),
        ({"per_head": True}, {"key_projection": (3, 5, 40), "value_projection": (3, 5, 40)}),
        ({"per_head": True, "share": "kv"}, {"key_projection": (3, 5, 40)}),
    ],
)
def test_what_is_learned(options: dict[str, Any], sizes: dict[str, tuple[int, ...]]) -> None:
    shape = Shape(num_heads=3, seq_len=40, head_dim=4)
    params = linformer.Params(projection_length=5, **options)
    drawn = linformer.weights(shape, params, seeded())
    assert {name: tuple(weight.shape) for name, weight in drawn.items()} == sizes
    assert all(isinstance(weight, torch.nn.Parameter) for weight in drawn.values())
    assert all(0.9 / 40**0.5 < weight.abs().max() <= 1 / 40**0.5 for weight in drawn.values())


@pytest.mark.parametrize("given", [30, 50])
def test_another_length_is_unsupported_and_never_sliced(given: int) -> None:
    shape = Shape(num_heads=2, seq_len=40, head_dim=4)
    layer = linformer.Attention(shape, linformer.Params(projection_length=5), generator=seeded())
    message = f"were built for 40 tokens, not {given}; build them with seq_len {given}"
    with pytest.raises(Unsupported, match=message):
        layer(torch.zeros(1, given, 8))


def test_more_compressed_tokens_than_tokens_is_unsupported() -> None:
    params = linformer.Params(projection_length=50)
    reason = linformer.supports(Shape(seq_len=49), params)
    assert reason == "projection_length 50 is more than the 49 tokens; take 49 or fewer"
    assert linformer.supports(Shape(seq_len=50), params) is None


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_narrow_inputs_stay_near_float32(dtype: torch.dtype) -> None:
    q, k, v = (tokens(1, 2, 64, 16, seed=seed).to(dtype) for seed in range(3))
    out = attend(linformer, q, k, v, projection_length=16)
    assert out.dtype == dtype
    wanted = attend(linformer, q.float(), k.float(), v.float(), projection_length=16)
    assert relative(out, wanted) < 3e-2


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"projection_length": 0}, "greater than or equal to 1"),
        ({"share": "heads"}, "'none' or 'kv'"),
        ({"per_head": 1}, "valid boolean"),
        ({"num_landmarks": 49}, "Extra inputs are not permitted"),
    ],
)
def test_params_refuse(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as error:
        linformer.Params(**fields)
    assert message in str(error.value)


def test_keys_are_needed() -> None:
    q = tokens(1, 1, 9, 4)
    with pytest.raises(ValueError, match="linformer needs keys; k is None"):
        attend(linformer, q, None, q, projection_length=4)
