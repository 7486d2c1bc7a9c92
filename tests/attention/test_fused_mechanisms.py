"""Backends `fused` of Linformer, Performer and Nyströmformer, held to their eager ones.

Values and gradients, memory, refusals; the goldens hold them too, in each mechanism's own tests.

Mutants seen red:
- Performer: sums not scaled down at a larger maximum; ε left out of the sums over keys, of queries'
  features, of the gradient of the sums or of values; the maximum of all keys not kept; the norm of
  queries or of keys without gradient; the wrong sign at the keys' maximum; queries' maxima always
  constants; relu's gradient everywhere, relu with the other kernel's ε; equal maxima of a query or
  of keys not shared, a maximum's token counted from its block, no room for rounding at a maximum;
  room for a token too few in a block; queries left narrow; its backward counted once, exponentials
  counted for relu; the gradient of the sums, the marks of maxima or of relu left out of the memory.
- Nyströmformer: segment means without gradient, longer segments taken for shorter, a mean's
  gradient not divided, landmarks not divided by D^¼, F3 as an N × M matrix, F1 Z counted.
- Linformer: E for the values too, a projection's gradient from one image, another length let
  through, scores held.
- All: a second derivative let through, recomputation left out or counted once, an empty batch given
  to PyTorch's kernel, tokens left narrow, strides that the kernel refuses, heads always together in
  one image, auto that takes eager and says fused, auto that says fused on CUDA, fused on CUDA not
  refused.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch
from mechanism_checks import relative, seeded, tokens
from torch import Tensor
from torch.utils._pytree import tree_leaves

from softbench.attention import linformer, nystromformer, performer
from softbench.case import Case, Shape, Unsupported
from softbench.contract.attention import case
from softbench.kernels import _favor_blocks, _favor_maxima, favor_costs
from softbench.metrics import flops, peak_memory, predicted_peak_memory
from softbench.metrics._work import work_of
from softbench.protocol import Protocol
from softbench.workload import backend_ran, build

NAMES = ("linformer", "performer", "nystromformer")
RANK = {linformer: "projection_length", performer: "num_features", nystromformer: "num_landmarks"}
EVERY = pytest.mark.parametrize("mechanism", list(RANK), ids=NAMES)
LAYOUTS = ("plain", "layer", "last", "every other")
MAXIMA: dict[str, Any] = {"epsilon": 1e-2, "detach_max": False}


def both(
    mechanism: ModuleType,
    sizes: tuple[int, ...],
    dtype: torch.dtype = torch.float64,
    layout: str = "plain",
    given: list[Tensor] | None = None,
    **options: Any,
) -> tuple[list[Tensor], list[Tensor]]:
    """Output and gradients of q, k, v and weights: fused in `dtype`, eager in float64."""
    shape = Shape(batch_size=sizes[0], num_heads=sizes[1], seq_len=sizes[2], head_dim=sizes[3])
    params = mechanism.Params(**options)
    drawn = given or [tokens(*sizes, seed=seed) for seed in range(4)]
    told = []
    for name, kind in (("fused", dtype), ("eager", torch.float64)):
        heads = [laid_out(one.to(kind), layout).detach().requires_grad_() for one in drawn[:3]]
        weights = {
            key: one.detach().to(kind).requires_grad_(isinstance(one, torch.nn.Parameter))
            for key, one in mechanism.weights(shape, params, seeded(9)).items()
        }
        out = mechanism.BACKENDS[name](*heads, params=params, weights=weights, grid=None)
        out.backward(drawn[3].to(kind))
        learned = [one for one in weights.values() if one.requires_grad]
        told.append([out, *(one.grad for one in (*heads, *learned))])
    return told[0], told[1]


def laid_out(x: Tensor, layout: str) -> Tensor:
    if layout == "layer":
        return x.transpose(1, 2).contiguous().transpose(1, 2)
    if layout == "last":
        return x.mT.contiguous().mT
    return x.repeat_interleave(2, 2)[:, :, ::2] if layout == "every other" else x


def farthest(pair: tuple[list[Tensor], list[Tensor]]) -> float:
    found, wanted = pair
    assert len(found) == len(wanted) > 3
    assert all(one.norm() > 1e-6 for one in wanted)
    return max(map(relative, found, wanted))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("mechanism", "options"),
    [
        (linformer, {}),
        (linformer, {"share": "kv"}),
        (linformer, {"per_head": True}),
        (linformer, {"share": "kv", "per_head": True}),
        (performer, {}),
        (performer, {"num_features": 7, "kernel": "relu"}),
        (performer, {"epsilon": 1e-2}),
        (performer, {"epsilon": 0.0}),
        (performer, MAXIMA),
        (nystromformer, {}),
        (nystromformer, {"num_landmarks": 50, "conv_kernel_size": 33}),
        (nystromformer, {"num_pinv_iters": 2, "pinv_init": "original"}),
    ],
)
def test_it_equals_eager_in_values_and_gradients(
    mechanism: ModuleType, options: dict[str, Any], layout: str
) -> None:
    assert farthest(both(mechanism, (2, 3, 205, 20), layout=layout, **options)) < 1e-10


@EVERY
@pytest.mark.parametrize("sizes", [(1, 1, 49, 1), (1, 2, 1, 8), (3, 1, 64, 5), (1, 9, 600, 64)])
def test_every_size_will_do(mechanism: ModuleType, sizes: tuple[int, ...]) -> None:
    options: dict[str, Any] = {RANK[mechanism]: min(7, sizes[2])}
    found, wanted = both(mechanism, sizes, **options)
    assert relative(found[0], wanted[0]) < 1e-10
    # A softmax over one token has no gradient, which is then rounding alone.
    parts = zip(found, wanted, strict=True)
    assert all(relative(one, other) < 1e-10 for one, other in parts if other.norm() > 1e-6)


@pytest.mark.parametrize("block_bytes", [1, 2000, 30000])
@pytest.mark.parametrize("options", [{}, MAXIMA, {"kernel": "relu"}])
def test_blocks_change_nothing(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], block_bytes: int
) -> None:
    """Keys grow along the tokens, so that every block has a larger maximum than those before."""
    monkeypatch.setattr(_favor_blocks, "BLOCK_BYTES", block_bytes)
    given = [tokens(2, 3, 100, 6, seed=seed) for seed in range(4)]
    given[1] *= torch.linspace(0.2, 2, 100)[:, None]
    assert farthest(both(performer, (2, 3, 100, 6), given=given, **options)) < 1e-10


@pytest.mark.parametrize("layout", ["plain", "layer"])
def test_tokens_that_are_largest_together_share_the_gradient_of_a_maximum(layout: str) -> None:
    given = [tokens(1, 2, 50, 6, seed=seed).repeat(1, 1, 2, 1) for seed in range(3)]
    given.append(tokens(1, 2, 100, 6, seed=3))
    options = {**MAXIMA, "num_features": 9}
    assert farthest(both(performer, (1, 2, 100, 6), given=given, layout=layout, **options)) < 1e-10


@pytest.mark.parametrize(
    ("mechanism", "output_bound", "gradient_bound"),
    [(linformer, 4e-6, 6e-6), (performer, 3e-6, 7e-6), (nystromformer, 6e-6, 2e-4)],
    ids=NAMES,
)
def test_float32_is_near_eager_in_float64(
    mechanism: ModuleType, output_bound: float, gradient_bound: float
) -> None:
    found, wanted = both(mechanism, (1, 2, 196, 64), torch.float32)
    assert relative(found[0], wanted[0]) < output_bound
    assert max(map(relative, found, wanted)) < gradient_bound


@EVERY
@pytest.mark.parametrize(("dtype", "bound"), [(torch.bfloat16, 3e-2), (torch.float16, 4e-3)])
def test_narrow_dtypes_are_near_eager_in_float64(
    mechanism: ModuleType, dtype: torch.dtype, bound: float
) -> None:
    found, wanted = both(mechanism, (1, 2, 196, 64), dtype)
    assert {one.dtype for one in found} == {dtype}
    assert max(map(relative, found, wanted)) < bound


@EVERY
@pytest.mark.parametrize("sizes", [(0, 2, 49, 16), (2, 0, 49, 16)])
def test_an_empty_batch_has_an_empty_answer(mechanism: ModuleType, sizes: tuple[int, ...]) -> None:
    params = mechanism.Params()
    weights = mechanism.weights(Shape(num_heads=2, seq_len=49, head_dim=16), params, seeded())
    heads = [torch.zeros(sizes, requires_grad=True) for _ in range(3)]
    out = mechanism.BACKENDS["fused"](*heads, params=params, weights=weights, grid=None)
    out.sum().backward()
    assert out.shape == sizes
    assert all(one.grad is not None and one.grad.shape == sizes for one in heads)


@pytest.mark.parametrize(
    ("mechanism", "options"),
    [
        (linformer, {}),
        (performer, {"epsilon": 1e-2, "detach_max": False}),
        (performer, {"kernel": "relu"}),
        (nystromformer, {"conv_kernel_size": 3}),
    ],
)
def test_gradients_are_those_of_differences(mechanism: ModuleType, options: dict[str, Any]) -> None:
    params = mechanism.Params(**{RANK[mechanism]: 4}, **options)
    shape = Shape(num_heads=2, seq_len=12, head_dim=5)
    weights = {
        key: one.detach().double()
        for key, one in mechanism.weights(shape, params, seeded()).items()
    }
    heads = [tokens(1, 2, 12, 5, seed=seed).requires_grad_() for seed in range(3)]

    def call(*heads: Tensor) -> Tensor:
        out: Tensor = mechanism.BACKENDS["fused"](*heads, params=params, weights=weights, grid=None)
        return out

    assert torch.autograd.gradcheck(call, heads)


def call(mechanism: ModuleType, backend: str, *heads: Tensor | None, **options: Any) -> Tensor:
    first = next(one for one in heads if one is not None)
    shape = Shape(num_heads=first.shape[1], seq_len=first.shape[2], head_dim=first.shape[3])
    params = mechanism.Params(**{RANK[mechanism]: 9}, **options)
    drawn = mechanism.weights(shape, params, seeded())
    weights = {key: one.detach().to(first.dtype) for key, one in drawn.items()}
    out: Tensor = mechanism.BACKENDS[backend](*heads, params=params, weights=weights, grid=None)
    return out


@EVERY
@pytest.mark.parametrize("layout", ["plain", "layer"])
def test_gradients_lie_in_memory_as_heads_do(mechanism: ModuleType, layout: str) -> None:
    """So that whoever collects them need not copy them into another order."""
    heads = [laid_out(tokens(2, 3, 40, 8, seed=seed), layout).requires_grad_() for seed in range(3)]
    gradients = torch.autograd.grad(call(mechanism, "fused", *heads).sum(), heads)
    assert [one.stride() for one in gradients] == [one.stride() for one in heads]


@EVERY
@pytest.mark.parametrize("which", range(3))
def test_nan_stays_nan(mechanism: ModuleType, which: int) -> None:
    heads = [tokens(1, 1, 40, 16, seed=seed) for seed in range(3)]
    heads[which][0, 0, 5, 3] = torch.nan
    assert call(mechanism, "fused", *heads).isnan().any()


@EVERY
def test_a_second_derivative_is_refused(mechanism: ModuleType) -> None:
    x = tokens(1, 1, 40, 8).requires_grad_()
    out = call(mechanism, "fused", x, x * 1, x * 1)
    with pytest.raises(RuntimeError, match="fused backend has no second derivative; take eager"):
        torch.autograd.grad(out.sum(), x, create_graph=True)


@EVERY
@pytest.mark.parametrize("threads", [2, 3])
def test_threads_change_nothing(mechanism: ModuleType, threads: int) -> None:
    alone = both(mechanism, (1, 5, 196, 16))[0]
    torch.set_num_threads(threads)
    try:
        together = both(mechanism, (1, 5, 196, 16))[0]
    finally:
        torch.set_num_threads(1)
    assert max(map(relative, together, alone)) < 1e-11


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
def test_pytorch_never_takes_its_plain_form(
    recorded_operators: Any, mechanism: ModuleType, layout: str
) -> None:
    heads = [laid_out(tokens(2, 3, 49, 8, seed=seed), layout) for seed in range(3)]
    with recorded_operators() as operators:
        call(mechanism, "fused", *heads)
    names = [name for name, _ in operators if "attention" in name or "softmax" in name]
    plain = ["_softmax"] if mechanism is nystromformer else []  # between landmarks
    flash = ["_scaled_dot_product_flash_attention_for_cpu"] * (1 + len(plain))
    assert sorted(names) == sorted(flash + plain)


def sized(name: str, mode: str, seq_len: int = 784, **changes: Any) -> Case:
    shape = Shape(num_heads=8, seq_len=seq_len, head_dim=64)
    return case(
        name, backend="fused", shape=shape, mode=mode, dtype="float32", params={}, **changes
    )


@pytest.mark.parametrize("mode", ["forward", "forward_backward"])
@pytest.mark.parametrize("level", ["operator", "layer"])
@pytest.mark.parametrize("name", NAMES)
def test_memory_is_as_predicted(name: str, level: str, mode: str) -> None:
    workload = build(sized(name, mode, level=level))
    found = peak_memory.measure(workload, Protocol())["peak_memory"].values[0]
    (told,) = predicted_peak_memory.measure(workload, Protocol()).values()
    assert told.values[0] == pytest.approx(found, rel=0.01)


@pytest.mark.parametrize("fields", [MAXIMA, {"kernel": "relu"}, {"num_features": 3000}])
def test_memory_of_other_features_is_as_predicted(fields: dict[str, Any]) -> None:
    given = sized("performer", "forward_backward").model_copy(update={"params": fields})
    workload = build(given)
    found = peak_memory.measure(workload, Protocol())["peak_memory"].values[0]
    (told,) = predicted_peak_memory.measure(workload, Protocol()).values()
    assert told.values[0] == pytest.approx(found, rel=0.01)


@pytest.mark.parametrize(("mode", "most"), [("forward", 1.4), ("forward_backward", 6)])
@pytest.mark.parametrize("name", NAMES)
def test_little_lives_beside_the_inputs(name: str, mode: str, most: float) -> None:
    workload = build(sized(name, mode, seq_len=3136))
    found = peak_memory.measure(workload, Protocol())["peak_memory"].values[0]
    assert found <= most * workload.inputs[0].nbytes


@pytest.mark.parametrize("name", ["linformer", "nystromformer"])
def test_no_tensor_has_a_number_for_every_token_and_landmark(
    recorded_operators: Any, name: str
) -> None:
    rank = {"linformer": "projection_length", "nystromformer": "num_landmarks"}[name]
    given = case(
        name, backend="fused", mode="forward_backward", device="meta", params={rank: 32},
        shape=Shape(num_heads=2, seq_len=1024, head_dim=8),
    )  # fmt: skip
    workload = build(given)
    with recorded_operators() as operators:
        workload.step()
    results = tree_leaves([result for _, result in operators])
    made = [one for one in results if isinstance(one, Tensor)]
    largest = max(one.untyped_storage().nbytes() // one.element_size() for one in made)
    # Linformer's own weights are [32, 1024]: more than the 2 × 1024 × 8 of the tokens.
    assert largest == (32 * 1024 if name == "linformer" else 2 * 1024 * 8)


@pytest.mark.parametrize("mode", ["forward", "forward_backward"])
@pytest.mark.parametrize("level", ["operator", "layer"])
@pytest.mark.parametrize("name", NAMES)
def test_counts_are_those_of_the_closed_form(name: str, level: str, mode: str) -> None:
    given = case(name, backend="fused", level=level, mode=mode)
    assert flops.dispatch_count(given).total == sum(flops.closed_form(given).values())


def test_exponentials_are_counted() -> None:
    rank, shape = 11, Shape(num_heads=2, seq_len=64, head_dim=8)
    once = 2 * 2 * 64 * rank
    for mode, times in (("forward", 1), ("forward_backward", 2)):
        given = case("performer", backend="fused", shape=shape, mode=mode)
        for kernel, wanted in (("softmax", times * once), ("relu", 0)):
            params = {"num_features": rank, "kernel": kernel}
            work = work_of(given.model_copy(update={"params": params}))
            assert work.exponentials == wanted
    assert set(favor_costs.FLOPS) == set(favor_costs.NAMES)


def test_features_that_are_largest_together_share_the_gradient_of_a_maximum() -> None:
    features = torch.tensor([[[1.0, 3.0, 3.0, 2.0], [4.0, 0.0, 1.0, 1.0]]])
    shares = [[0, 0.5, 0.5, 0], [1, 0, 0, 0]]
    assert _favor_maxima.of_tokens(features).tolist() == [shares]


def test_a_maximum_is_found_though_products_round_otherwise() -> None:
    """The last bit of the largest, or of what it is compared with, may differ."""
    largest = torch.full((1, 1, 1), 3.0)
    for last in (2.9999998, 3.0, 3.0000002):
        peaks = _favor_maxima.Peaks(largest)
        peaks.find(torch.tensor([[[1.0, 2.0], [last, 2.9999]]]), 4)
        gradient = torch.zeros(1, 6, 2)
        peaks.take_off(gradient, torch.full((1, 1, 1), 2.0), torch.eye(2))
        assert gradient[0, 5].tolist() == [-2, 0]
        assert gradient.count_nonzero() == 1
