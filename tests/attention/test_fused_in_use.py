"""Backend `fused` of SOFT and SOFT++ as it is used: in layers, under autocast, exported, by `auto`.

What it holds in memory, and that every build of the kernels gives the same.

Mutants seen red: weights of the landmarks' convolution not widened; under autocast the output left
in float32, X by products in bfloat16, `auto` that takes eager.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from mechanism_checks import relative, seeded, tokens
from torch import Tensor

from softbench.attention import _fused, soft, soft_norm
from softbench.case import Case, Shape, Unsupported
from softbench.contract.attention import case
from softbench.kernels import low_rank
from softbench.metrics import peak_memory, predicted_peak_memory
from softbench.protocol import Protocol
from softbench.workload import backend_ran, build

pytestmark = pytest.mark.skipif(not low_rank.is_built(), reason="no C++ compiler built the kernels")

BOTH = pytest.mark.parametrize("mechanism", [soft, soft_norm])


def layer(mechanism: ModuleType, backend: str) -> torch.nn.Module:
    shape = Shape(batch_size=2, num_heads=4, seq_len=196, head_dim=16)
    params = mechanism.Params(landmarks="conv", conv_kernel_size=5)
    module: torch.nn.Module = mechanism.Attention(
        shape, params, backend=backend, generator=seeded()
    )
    return module


@BOTH
def test_a_layer_equals_its_eager_twin_under_autocast_and_without_gradient(
    mechanism: ModuleType,
) -> None:
    x = tokens(2, 196, 64).float()
    fused, eager = layer(mechanism, "fused"), layer(mechanism, "eager")
    with torch.no_grad():
        assert relative(fused(x), eager(x)) < 1e-4
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, wanted = fused(x), eager(x)
    assert found.dtype == wanted.dtype
    assert relative(found, wanted) < 0.05


@BOTH
@pytest.mark.parametrize("backend", ["fused", "auto"])
@pytest.mark.parametrize("fields", [{"landmarks": "conv", "conv_kernel_size": 5}, {}])
def test_a_layer_trains_under_autocast(
    mechanism: ModuleType, backend: str, fields: dict[str, Any]
) -> None:
    """Output in bfloat16, gradients in the dtype of what they are of, all near float32's."""
    found, wanted = (trained(mechanism, backend, enabled, **fields) for enabled in (True, False))
    assert [one.dtype for one in found] == [torch.bfloat16] + [torch.float32] * (len(found) - 1)
    # Pooled landmarks do not see a bias of the queries: its gradient is rounding.
    pairs = [pair for pair in zip(found, wanted, strict=True) if pair[1].norm() > 1e-2]
    assert len(pairs) >= len(found) - 1
    assert max(relative(*pair) for pair in pairs) < 0.013


@BOTH
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_autocast_changes_nothing_between_heads(mechanism: ModuleType, dtype: torch.dtype) -> None:
    q, v = (tokens(1, 2, 196, 16, seed=seed, scale=0.5).to(dtype) for seed in range(2))
    options: dict[str, Any] = {"params": mechanism.Params(), "weights": {}, "grid": (14, 14)}
    told = []
    for enabled in (True, False):
        given = (q.clone().requires_grad_(), v.clone().requires_grad_())
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            out = mechanism.BACKENDS["fused"](given[0], None, given[1], **options)
        told.append([out, *torch.autograd.grad(out.square().sum(), given)])
    assert {one.dtype for one in told[0]} == {dtype}
    assert all(map(torch.equal, *told))


def trained(mechanism: ModuleType, backend: str, autocast: bool, **fields: Any) -> list[Tensor]:
    """A layer's output and the gradients of its tokens and weights, under autocast or without."""
    shape = Shape(batch_size=2, num_heads=4, seq_len=196, head_dim=16)
    params = mechanism.Params(**fields)
    module = mechanism.Attention(shape, params, backend=backend, generator=seeded())
    x, cotangent = (tokens(2, 196, 64, seed=seed).float() for seed in range(2))
    given = [x.requires_grad_(), *module.parameters()]
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        out = module(x)
    return [out, *torch.autograd.grad(out, given, cotangent.to(out.dtype))]


@BOTH
def test_a_layer_in_bfloat16_runs_as_its_eager_twin(mechanism: ModuleType) -> None:
    x = tokens(2, 196, 64).bfloat16()
    fused, eager = (layer(mechanism, name).bfloat16() for name in ("fused", "eager"))
    assert relative(fused(x), eager(x)) < 0.05


@BOTH
def test_a_layer_can_be_exported(mechanism: ModuleType) -> None:
    x = tokens(2, 196, 64).float()
    module = layer(mechanism, "fused").eval()
    with torch.no_grad():
        program = torch.export.export(module, (x,))
        assert relative(program.module()(x), module(x)) < 1e-6


@BOTH
def test_keys_are_refused(mechanism: ModuleType) -> None:
    q = tokens(1, 1, 49, 8)
    options: dict[str, Any] = {"params": mechanism.Params(), "weights": {}, "grid": (7, 7)}
    with pytest.raises(ValueError, match="keys are the queries"):
        mechanism.BACKENDS["fused"](q, q, q, **options)


def one(name: str = "soft", **changes: Any) -> Case:
    return case(name, **{"backend": "fused", **changes})


def test_auto_says_what_it_took(monkeypatch: pytest.MonkeyPatch) -> None:
    assert backend_ran(one(backend="auto")) == "fused"
    assert backend_ran(one(backend="auto", device="cuda")) == "eager"
    monkeypatch.setattr(low_rank, "is_built", lambda: False)
    assert backend_ran(one(backend="auto")) == "eager"
    q = tokens(1, 2, 49, 8)
    options: dict[str, Any] = {"params": soft.Params(), "weights": {}, "grid": (7, 7)}
    assert soft.BACKENDS["auto"](q, None, q, **options).equal(soft.attend(q, None, q, **options))


def test_nothing_falls_back_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unsupported, match="runs on the CPU, not on cuda; take eager or auto"):
        backend_ran(one(device="cuda"))
    monkeypatch.setattr(low_rank, "is_built", lambda: False)
    with pytest.raises(Unsupported, match=r"no compiled kernels here; .* C\+\+ compiler"):
        build(one())
    q = tokens(1, 2, 49, 8)
    with pytest.raises(Unsupported, match="no compiled kernels"):
        soft.BACKENDS["fused"](q, None, q, params=soft.Params(), weights={}, grid=(7, 7))


def sized(seq_len: int, mode: str, **changes: Any) -> Case:
    shape = Shape(num_heads=8, seq_len=seq_len, head_dim=64)
    return one(shape=shape, mode=mode, dtype="float32", params={}, **changes)


@pytest.mark.parametrize("mode", ["forward", "forward_backward"])
@pytest.mark.parametrize("level", ["operator", "layer"])
@pytest.mark.parametrize("name", ["soft", "soft_norm"])
def test_memory_is_as_predicted(name: str, level: str, mode: str) -> None:
    if level == "layer" and torch.backends.cpu.get_cpu_capability() not in ("AVX512", "AVX2"):
        pytest.skip("oneDNN's layouts were only read off CPUs with AVX-512 and AVX2")
    given = sized(784, mode, level=level).model_copy(update={"attention": name})
    workload = build(given)
    found = peak_memory.measure(workload, Protocol())["peak_memory"].values[0]
    (told,) = predicted_peak_memory.measure(workload, Protocol()).values()
    assert told.values[0] == pytest.approx(found, rel=0.01 if level == "operator" else 0.05)


@pytest.mark.parametrize("seq_len", [784, 3136])
@pytest.mark.parametrize(("mode", "most"), [("forward", 1.2), ("forward_backward", 3.5)])
def test_little_lives_beside_the_inputs(mode: str, most: float, seq_len: int) -> None:
    given = sized(seq_len, mode)
    workload = build(given)
    found = peak_memory.measure(workload, Protocol())["peak_memory"].values[0]
    assert found <= most * workload.inputs[0].nbytes


@pytest.mark.parametrize("capability", ["avx2", "default"])
def test_every_build_gives_the_same(capability: str) -> None:
    program = """if True:
        import torch
        torch.set_num_threads(1)
        from softbench.attention import soft
        from softbench.kernels import _compiled
        assert _compiled.build() in ("avx2", "plain"), _compiled.build()
        draw = torch.Generator().manual_seed(0)
        drawn = torch.randn(3, 1, 2, 203, 20, generator=draw, dtype=torch.float64)
        given = {"params": soft.Params(num_newton_iters=6), "weights": {}, "grid": (7, 29)}
        def results(attend, dtype):
            q, v, cotangent = (0.5 * drawn).to(dtype)
            leaves = q.requires_grad_(), v.requires_grad_()
            out = attend(q, None, v, **given)
            return out, *torch.autograd.grad(out, leaves, cotangent)
        wanted = results(soft.attend, torch.float64)
        for dtype, bound in ((torch.float64, 1e-10), (torch.float32, 1e-4)):
            found = results(soft.BACKENDS["fused"], dtype)
            for one, other in zip(found, wanted, strict=True):
                assert (one - other).norm() < bound * other.norm(), (dtype, bound)
    """
    environment = {**os.environ, "ATEN_CPU_CAPABILITY": capability, "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, "-c", program], check=True, env=environment,
        cwd=Path(_fused.__file__).parents[2],
    )  # fmt: skip
