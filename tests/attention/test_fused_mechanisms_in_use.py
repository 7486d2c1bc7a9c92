"""Backends `fused` of Linformer, Performer and Nyströmformer as they are used.

In layers, under autocast, exported, by `auto`, and which of PyTorch's kernels they call.

Mutants seen red: another length let through, strides that PyTorch's kernel refuses, auto that takes
eager and says fused, auto that says fused on CUDA, fused on CUDA not refused, PyTorch's choice of a
kernel in place of flash.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from types import ModuleType
from typing import Any

import pytest
import torch
from fused_checks import EVERY, LAYOUTS, NAMES, call
from mechanism_checks import laid_out, relative, seeded, tokens
from torch.nn.attention import SDPBackend, sdpa_kernel

from softbench.attention import _sdpa, linformer, nystromformer
from softbench.case import Shape, Unsupported
from softbench.contract.attention import case
from softbench.workload import backend_ran


def layer(mechanism: ModuleType, backend: str) -> torch.nn.Module:
    shape = Shape(batch_size=2, num_heads=4, seq_len=196, head_dim=16)
    params = mechanism.Params(**getattr(mechanism, "LEVEL_DEFAULTS", {}).get("layer", {}))
    module: torch.nn.Module = mechanism.Attention(
        shape, params, backend=backend, generator=seeded()
    )
    return module


@EVERY
def test_a_layer_equals_its_eager_twin_under_autocast_and_without_gradient(
    mechanism: ModuleType,
) -> None:
    x = tokens(2, 196, 64).float()
    fused, eager = layer(mechanism, "fused"), layer(mechanism, "eager")
    with torch.no_grad():
        assert relative(fused(x), eager(x)) < 1e-5
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, wanted = fused(x), eager(x)
        found.float().sum().backward()
    assert found.dtype == wanted.dtype
    assert relative(found, wanted) < 0.05
    assert all(one.grad is not None for one in fused.parameters())


@pytest.mark.parametrize(
    "sizes",
    [
        [(2, 2, 64, 16), (1, 2, 64, 16), (1, 2, 64, 16)],
        [(2, 2, 64, 16), (2, 1, 64, 16), (2, 1, 64, 16)],
        [(2, 2, 64, 16), (2, 2, 64, 16), (2, 2, 65, 16)],
        [(2, 2, 64, 16), (2, 2, 64, 8), (2, 2, 64, 8)],
    ],
)
def test_flash_attention_by_its_name_reads_nothing_beyond(sizes: list[tuple[int, ...]]) -> None:
    sys.setprofile(None)  # the check of shape suffixes would find it too
    with pytest.raises(ValueError, match=r"keys and values must be \[2, 2, 6\d, 16\]"):
        _sdpa.flash(*(tokens(*one) for one in sizes))


@EVERY
def test_products_are_of_float32_under_autocast(mechanism: ModuleType) -> None:
    heads = [tokens(1, 2, 64, 16, seed=seed).float().requires_grad_() for seed in range(3)]
    wanted = torch.autograd.grad(call(mechanism, "fused", *heads).sum(), heads)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = call(mechanism, "fused", *heads)
    found = torch.autograd.grad(out.sum(), heads)
    assert max(map(relative, found, wanted)) < 1e-5


@EVERY
def test_a_layer_can_be_exported(mechanism: ModuleType) -> None:
    x = tokens(2, 196, 64).float()
    module = layer(mechanism, "fused").eval()
    with torch.no_grad():
        program = torch.export.export(module, (x,))
        assert relative(program.module()(x), module(x)) < 1e-6


@EVERY
def test_keys_are_needed(mechanism: ModuleType) -> None:
    q = tokens(1, 1, 40, 4)
    with pytest.raises(ValueError, match="needs keys; k is None"):
        call(mechanism, "fused", q, None, q)


def test_projections_of_another_length_are_unsupported() -> None:
    q = tokens(1, 1, 40, 4)
    params = linformer.Params(projection_length=9)
    weights = linformer.weights(Shape(num_heads=1, seq_len=50, head_dim=4), params, seeded())
    with pytest.raises(Unsupported, match="were built for 50 tokens, not 40"):
        linformer.BACKENDS["fused"](q, q, q, params=params, weights=weights, grid=None)


@pytest.mark.parametrize("name", NAMES)
def test_auto_says_what_it_took_and_nothing_falls_back_unasked(name: str) -> None:
    assert backend_ran(case(name, backend="auto")) == "fused"
    assert backend_ran(case(name, backend="auto", device="cuda")) == "eager"
    with pytest.raises(Unsupported, match="runs on the CPU, not on cuda; take eager or auto"):
        backend_ran(case(name, backend="fused", device="cuda"))


@EVERY
def test_a_call_takes_what_its_backend_says(mechanism: ModuleType, recorded_operators: Any) -> None:
    x = tokens(1, 2, 49, 8)
    told = {}
    for backend in mechanism.BACKENDS:
        with recorded_operators() as operators:
            call(mechanism, backend, x, x, x)
        told[backend] = [operator for operator, _ in operators]
    assert told["auto"] == told["fused"] != told["eager"]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("mechanism", [linformer, nystromformer])
@pytest.mark.parametrize("held_to", [None, SDPBackend.MATH])
def test_pytorch_never_takes_its_plain_form(
    recorded_operators: Any, mechanism: ModuleType, layout: str, held_to: SDPBackend | None
) -> None:
    """Not even in a program that holds PyTorch to it: records say `fused` all the same."""
    heads = [laid_out(tokens(2, 3, 49, 8, seed=seed), layout) for seed in range(3)]
    holding = nullcontext() if held_to is None else sdpa_kernel(held_to)
    with recorded_operators() as operators, holding:
        call(mechanism, "fused", *heads)
    names = [name for name, _ in operators if "attention" in name or "softmax" in name]
    plain = ["_softmax"] if mechanism is nystromformer else []  # between landmarks
    flash = ["_scaled_dot_product_flash_attention_for_cpu"] * (1 + len(plain))
    assert sorted(names) == sorted(flash + plain)
