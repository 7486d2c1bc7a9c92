"""Softmax attention against the released code's values, and its two backends against each other.

Broken on purpose, each of these turned a test here red: no scaling, scaling by D, softmax over
queries, scores transposed, heads merged in the wrong order, SDPA taken apart on meta, keys that
may be missing.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from softbench.attention import softmax
from softbench.case import Shape

PRECISIONS = [(torch.float64, 1e-9, 1e-7), (torch.float32, 2e-6, 3e-6)]


def relative(found: Tensor | None, wanted: Tensor) -> float:
    assert found is not None
    return float((found.detach().double() - wanted).norm() / wanted.norm())


def call(backend: str, q: Tensor, k: Tensor | None, v: Tensor) -> Tensor:
    attention = softmax.BACKENDS[backend]
    return attention(q, k, v, params=softmax.Params(), weights={}, grid=None)


@pytest.mark.parametrize("backend", ["eager", "sdpa"])
@pytest.mark.parametrize(("dtype", "output_bound", "gradient_bound"), PRECISIONS)
def test_goldens(
    golden: Any, backend: str, dtype: torch.dtype, output_bound: float, gradient_bound: float
) -> None:
    values = golden("softmax", "a")
    inputs = {name: values[name].to(dtype, copy=True).requires_grad_() for name in "qkv"}
    out = call(backend, inputs["q"], inputs["k"], inputs["v"])
    torch.autograd.backward(out, values["cot"].to(dtype))
    assert relative(out, values["out"]) < output_bound
    for name, tensor in inputs.items():
        assert relative(tensor.grad, values[f"d_{name}"]) < gradient_bound, name


def layer_weights(values: dict[str, Tensor], prefix: str = "") -> dict[str, Tensor]:
    """The released block's attention weights (or, by prefix, gradients) under our names."""
    weights: dict[str, Tensor] = {}
    for kind in ("weight", "bias"):
        k, v = values[f"{prefix}attn.kv.{kind}"].chunk(2)
        weights |= {f"k_proj.{kind}": k, f"v_proj.{kind}": v}
        weights[f"q_proj.{kind}"] = values[f"{prefix}attn.q.{kind}"]
        weights[f"out_proj.{kind}"] = values[f"{prefix}attn.proj.{kind}"]
    return weights


def block(attention: nn.Module, weights: dict[str, Tensor], x: Tensor) -> Tensor:
    """The released pre-norm block of stage 4 around `attention`."""

    def norm(name: str, y: Tensor) -> Tensor:
        scale = weights[f"{name}.weight"]
        return functional.layer_norm(y, scale.shape, scale, weights[f"{name}.bias"], 1e-6)

    def linear(name: str, y: Tensor) -> Tensor:
        return functional.linear(y, weights[f"{name}.weight"], weights[f"{name}.bias"])

    x = x + attention(norm("norm1", x))
    return x + linear("mlp.fc2", functional.gelu(linear("mlp.fc1", norm("norm2", x))))


@pytest.mark.parametrize("backend", ["eager", "sdpa"])
@pytest.mark.parametrize(("dtype", "output_bound", "gradient_bound"), PRECISIONS)
def test_layer_in_the_released_block(
    golden: Any, backend: str, dtype: torch.dtype, output_bound: float, gradient_bound: float
) -> None:
    values = golden("softmax", "stage4_block")
    weights = {name: value.to(dtype) for name, value in values.items()}
    shape = Shape(batch_size=2, num_heads=2, seq_len=10, head_dim=8)
    layer = softmax.Attention(
        shape, softmax.Params(), backend=backend, generator=torch.Generator().manual_seed(0)
    ).to(dtype)
    layer.load_state_dict(layer_weights(weights))
    x = weights["x"].requires_grad_()
    out = block(layer, weights, x)
    torch.autograd.backward(out, weights["cot"])
    assert relative(out, values["out"]) < output_bound
    assert relative(x.grad, values["d_x"]) < gradient_bound
    for name, wanted in layer_weights(values, "d_").items():
        if name != "k_proj.bias":  # softmax does not see it: its gradient is round-off
            assert relative(layer.get_parameter(name).grad, wanted) < gradient_bound, name


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("backend", ["eager", "sdpa"])
def test_narrow_inputs_stay_near_float32(backend: str, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(1, 2, 64, 16, generator=generator).to(dtype) for _ in range(3))
    wanted = call("eager", q.float(), k.float(), v.float()).double()
    found = call(backend, q, k, v)
    assert found.dtype == dtype
    assert relative(found, wanted) < 2e-2


def test_sdpa_on_meta_is_the_flash_operator(recorded_operators: Any) -> None:
    q, k, v = (torch.empty(1, 2, 9, 4, device="meta", requires_grad=True) for _ in range(3))
    with recorded_operators() as operators:
        out = call("sdpa", q, k, v)
        torch.autograd.backward(out, torch.empty_like(out))
    names = [name for name, _ in operators]
    assert "_scaled_dot_product_flash_attention_for_cpu" in names
    assert "_scaled_dot_product_flash_attention_for_cpu_backward" in names
    assert "bmm" not in names


def test_keys_are_needed() -> None:
    q = torch.ones(1, 1, 4, 2)
    for backend in softmax.BACKENDS:
        with pytest.raises(ValueError, match="softmax attention needs keys; k is None"):
            call(backend, q, None, q)
