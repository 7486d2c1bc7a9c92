"""Performer against the ports' values, its limit, its features, and what it refuses.

Broken on purpose, each of these turned a test here red: D^½ for D^¼, the norm left out, the norm
without its ½, a maximum of all queries, a maximum of each key by itself, epsilon inside the
exponential, another epsilon for relu, maxima always and never detached, the sum of queries for that
of keys, rows of W of length one, one block for all, Q as LAPACK has it, queries left in bfloat16,
autocast left on.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from mechanism_checks import attend, leaves, relative, seeded, tokens
from pydantic import ValidationError
from torch import Tensor

from softbench.attention import performer, softmax
from softbench.attention._random_features import orthogonal_features
from softbench.case import Shape, Unsupported

PRECISIONS = [(torch.float64, 1e-9, 1e-7), (torch.float32, 3e-6, 7e-6)]
BOTH = pytest.mark.parametrize("backend", ["eager", "fused"])
OPTIONS: dict[str, dict[str, Any]] = {
    "lucid_a": {"epsilon": 1e-4},
    "google_a": {"epsilon": 1e-6, "detach_max": False},
    "lucid_relu": {"kernel": "relu"},
}


def golden_call(
    params: performer.Params, leaf: dict[str, Tensor], backend: str = "eager"
) -> Tensor:
    weights = {"random_features": leaf["proj"].detach()}
    return performer.BACKENDS[backend](
        leaf["q"], leaf["k"], leaf["v"], params=params, weights=weights, grid=None
    )


@BOTH
@pytest.mark.parametrize("case", OPTIONS)
@pytest.mark.parametrize(("dtype", "output_bound", "gradient_bound"), PRECISIONS)
def test_goldens(
    golden: Any,
    case: str,
    dtype: torch.dtype,
    output_bound: float,
    gradient_bound: float,
    backend: str,
) -> None:
    inputs = golden("performer", "lucid_a" if case == "google_a" else case)
    values = golden("performer", case)
    leaf = leaves({name: inputs[name] for name in ("q", "k", "v", "cot", "proj")}, dtype)
    out = golden_call(performer.Params(num_features=16, **OPTIONS[case]), leaf, backend)
    torch.autograd.backward(out, leaf["cot"].detach())
    assert relative(out, values["out"]) < output_bound
    for name in ("q", "k", *(["v"] if "d_v" in values else [])):
        assert relative(leaf[name].grad, values[f"d_{name}"]) < gradient_bound, name


@BOTH
def test_maxima_count_in_the_gradient_and_epsilon_in_the_output(golden: Any, backend: str) -> None:
    """What the options are for: each moves what it should, by more than any tolerance."""
    leaf = leaves(golden("performer", "lucid_a"), torch.float64)
    outs, gradients = [], []
    for epsilon, detach_max in [(1e-6, True), (1e-6, False), (1e-4, True)]:
        params = performer.Params(num_features=16, epsilon=epsilon, detach_max=detach_max)
        outs.append(golden_call(params, leaf, backend))
        gradients.append(torch.autograd.grad(outs[-1].sum(), leaf["k"])[0])
    assert torch.equal(outs[0], outs[1])
    assert relative(gradients[1], gradients[0]) > 1e-5
    assert relative(outs[2], outs[0]) > 1e-3


@pytest.mark.parametrize("head_dim", [4, 8])
def test_growing_features_converge_to_softmax(head_dim: int) -> None:
    """Small queries, so that the variance is small; features with a mean stay above 0.06."""
    q, k, v = (tokens(1, 2, 64, head_dim, seed=seed, scale=0.5) for seed in range(3))
    wanted = softmax.attend(q, k, v, params=softmax.Params(), weights={}, grid=None)
    errors = [
        relative(attend(performer, q, k, v, num_features=number, epsilon=0.0), wanted)
        for number in (64, 2**15)
    ]
    assert errors[0] > 0.05  # else the second would say nothing
    assert errors[1] < 0.02
    assert relative(performer.exact(q, k, v, performer.Params()), wanted) < 1e-12


def test_relu_features_have_no_limit() -> None:
    q = tokens(1, 1, 9, 4)
    with pytest.raises(Unsupported, match="relu features approximate no attention"):
        performer.exact(q, q, q, performer.Params(kernel="relu"))


def test_blocks_of_features_are_orthogonal_and_the_last_one_is_cut() -> None:
    w = orthogonal_features(20, 8, seeded()).double()
    assert w.shape == (20, 8)
    directions = w / w.norm(dim=1, keepdim=True)
    for block in directions.split(8):
        assert torch.allclose(block @ block.mT, torch.eye(len(block)).double(), atol=1e-6)
    assert (directions[:8] @ directions[8:16].mT).abs().max() > 0.1


def test_features_have_the_mean_and_the_lengths_of_gaussians() -> None:
    w = orthogonal_features(8000, 16, seeded()).double()
    squares = w.square().sum(1)  # chi-squared with 16 degrees: mean 16, variance 32
    assert abs(squares.mean() - 16) < 4 * math.sqrt(32 / 8000)
    assert abs(squares.var() - 32) < 3
    assert w.mean(0).abs().max() < 4 / math.sqrt(8000)
    assert (w.mT @ w / 8000 - torch.eye(16)).abs().max() < 0.06


def test_features_follow_the_seed_and_are_not_learned() -> None:
    shape = Shape(num_heads=2, seq_len=9, head_dim=8)
    first, again, other = (
        performer.weights(shape, performer.Params(), seeded(seed))["random_features"]
        for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    layer = performer.Attention(shape, performer.Params(), generator=seeded())
    assert dict(layer.named_buffers())["random_features"].shape == (16, 8)


@pytest.mark.parametrize(("head_dim", "number"), [(1, 1), (2, 1), (8, 16), (32, 110), (64, 266)])
def test_number_of_features_that_nobody_set(head_dim: int, number: int) -> None:
    shape = Shape(seq_len=9, head_dim=head_dim)
    drawn = performer.weights(shape, performer.Params(), seeded())
    assert drawn["random_features"].shape == (number, head_dim)


@pytest.mark.parametrize("kernel", ["softmax", "relu"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_narrow_inputs(recorded_operators: Any, kernel: str, dtype: torch.dtype) -> None:
    """Finite, in the dtype of v, near float32, all exponentials and products in float32."""
    q, k, v = (tokens(1, 2, 64, 16, seed=seed, scale=3).to(dtype) for seed in range(3))
    with recorded_operators() as operators:
        out = attend(performer, q, k, v, kernel=kernel)
    wide = [result for name, result in operators if name in ("exp", "bmm", "mm")]
    assert wide
    assert all(result.dtype == torch.float32 for result in wide)
    assert out.dtype == dtype
    assert out.isfinite().all()
    w = performer.weights(Shape(seq_len=64, head_dim=16), performer.Params(), seeded())
    rounded = {"random_features": w["random_features"].to(dtype).float()}
    params = performer.Params(kernel=kernel)  # type: ignore[arg-type]
    wanted = performer.attend(
        q.float(), k.float(), v.float(), params=params, weights=rounded, grid=None
    )
    assert relative(out, wanted) < 1e-2


def test_autocast_stays_out() -> None:
    q, k, v = (tokens(1, 2, 64, 16, seed=seed).float() for seed in range(3))
    wanted = attend(performer, q, k, v)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(attend(performer, q, k, v), wanted)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_features": 0}, "greater than or equal to 1"),
        ({"kernel": "elu"}, "'softmax' or 'relu'"),
        ({"epsilon": -1e-6}, "greater than or equal to 0"),
        ({"epsilon": 2.0}, "less than or equal to 1"),
        ({"eps": 1e-4}, "Extra inputs are not permitted"),
    ],
)
def test_params_refuse(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as error:
        performer.Params(**fields)
    assert message in str(error.value)


def test_keys_are_needed() -> None:
    q = tokens(1, 1, 9, 4)
    with pytest.raises(ValueError, match="performer needs keys; k is None"):
        attend(performer, q, None, q)
