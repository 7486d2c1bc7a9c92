"""SOFT against its limits, in narrow types, and what it refuses.

Broken on purpose, each of these turned a test here red: no clamp, the kernel in bfloat16, autocast
left on, the output left in float32, keys taken silently, norms of rows taken for those of columns,
exp without its ½, exact without its scaling, no ridge, random landmarks from the global generator,
the implicit gradient in place of the unrolled one, the registry searched in every call.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from softbench import plugins
from softbench.attention import soft
from softbench.attention._gaussian import gaussian_kernel, gaussian_kernel_by_ones
from softbench.case import Shape

KERNELS = [gaussian_kernel, gaussian_kernel_by_ones]
SAMPLERS = ["pool", "conv", "random", "first"]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tokens(*sizes: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(*sizes, generator=seeded(seed), dtype=torch.float64)


def relative(found: Tensor, wanted: Tensor) -> float:
    difference = found.detach().double() - wanted.detach().double()
    return float(difference.norm() / wanted.detach().double().norm())


def call(q: Tensor, v: Tensor, grid: tuple[int, int] | None = None, **options: Any) -> Tensor:
    batch_size, num_heads, seq_len, head_dim = q.shape
    shape = Shape(
        batch_size=batch_size, num_heads=num_heads, seq_len=seq_len, head_dim=head_dim, grid=grid
    )
    params = soft.Params(**options)
    weights = soft.weights(shape, params, seeded())
    weights = {
        name: value.to(q.dtype) if value.is_floating_point() else value
        for name, value in weights.items()
    }
    return soft.attend(q, None, v, params=params, weights=weights, grid=grid)


@pytest.mark.parametrize("kernel", KERNELS)
def test_kernel_is_its_definition(kernel: Any) -> None:
    x, y = tokens(2, 3, 7, 4), tokens(2, 3, 5, 4, seed=1)
    differences = x[..., :, None, :] - y[..., None, :, :]
    wanted = torch.exp(-differences.square().sum(-1) / 2)
    assert relative(kernel(x, y), wanted) < 1e-13


@pytest.mark.parametrize("kernel", KERNELS)
def test_kernel_is_never_above_one(kernel: Any) -> None:
    x = tokens(1, 1, 200, 64, scale=30).float()
    unclamped = x.square().sum(-1)[..., None] + x.square().sum(-1)[..., None, :] - 2 * (x @ x.mT)
    assert unclamped.min() < 0  # else this would test nothing
    assert kernel(x, x).max() <= 1


def test_landmarks_of_every_token_leave_only_the_ridge() -> None:
    """M = N: S (S + 0.01 I)⁻¹ S v, once the solver has converged."""
    q, v = tokens(1, 2, 12, 4, scale=2), tokens(1, 2, 12, 4, seed=1)
    s = torch.exp(-torch.cdist(q, q).square() / (2 * 4**0.5))
    wanted = s @ torch.linalg.inv(s + 0.01 * torch.eye(12, dtype=s.dtype)) @ s @ v
    found = call(q, v, num_landmarks=12, landmarks="first", num_newton_iters=60)
    assert relative(found, wanted) < 1e-10


def test_exact_is_the_limit_without_a_ridge() -> None:
    q, v = tokens(1, 2, 12, 4, scale=2), tokens(1, 2, 12, 4, seed=1)
    options: dict[str, Any] = {"num_landmarks": 12, "landmarks": "first", "num_newton_iters": 60}
    wanted = torch.exp(-torch.cdist(q, q).square() / (2 * 4**0.5)) @ v
    exact = soft.exact(q, None, v, soft.Params(**options))
    assert relative(exact, wanted) < 1e-12
    some = soft.exact(q[:, :, 2:5], q, v, soft.Params(**options))
    assert relative(some, exact[:, :, 2:5]) < 1e-12
    assert relative(call(q, v, ridge=0, **options), exact) < 1e-8


def test_gradient_equals_finite_differences_where_converged() -> None:
    q = tokens(1, 1, 9, 3, scale=2).requires_grad_()
    v = tokens(1, 1, 9, 3, seed=1).requires_grad_()
    options: dict[str, Any] = {"num_landmarks": 4, "num_newton_iters": 40, "conv_kernel_size": 3}
    assert torch.autograd.gradcheck(lambda q, v: call(q, v, (3, 3), **options), (q, v))


def test_unrolled_gradient_equals_finite_differences_after_any_step() -> None:
    q = tokens(1, 1, 9, 3, scale=2).requires_grad_()
    options: dict[str, Any] = {"num_landmarks": 4, "num_newton_iters": 2, "gradient": "unrolled"}
    v = tokens(1, 1, 9, 3, seed=1)
    assert torch.autograd.gradcheck(lambda q: call(q, v, (3, 3), **options), (q,))


@pytest.mark.parametrize("landmarks", SAMPLERS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_narrow_inputs(recorded_operators: Any, landmarks: str, dtype: torch.dtype) -> None:
    """Finite, in the dtype of v, near float32, and with a kernel in float32 that stays within 1."""
    q, v = tokens(1, 2, 64, 16, scale=2).to(dtype), tokens(1, 2, 64, 16, seed=1).to(dtype)
    options: dict[str, Any] = {"num_landmarks": 16, "landmarks": landmarks}
    with recorded_operators() as operators:
        out = call(q, v, (8, 8), **options)
    kernels = [result for name, result in operators if name == "exp"]
    assert len(kernels) == 2
    assert all(kernel.dtype == torch.float32 and kernel.max() <= 1 for kernel in kernels)
    assert out.dtype == dtype
    # What is left is the rounding of queries and landmarks: 0.9 % for conv in bfloat16.
    assert relative(out, call(q.float(), v.float(), (8, 8), **options)) < 0.02


def test_autocast_stays_out_of_the_kernel_and_the_inverse() -> None:
    q, v = tokens(1, 2, 64, 16).float(), tokens(1, 2, 64, 16, seed=1).float()
    wanted = call(q, v, num_landmarks=16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(call(q, v, num_landmarks=16), wanted)


def test_random_landmarks_follow_the_seed_and_are_buffers() -> None:
    shape = Shape(num_heads=2, seq_len=50, head_dim=4)
    params = soft.Params(num_landmarks=10, landmarks="random")
    drawn = [soft.weights(shape, params, seeded(seed))["landmark_index"] for seed in (0, 0, 1)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    layer = soft.Attention(shape, params, generator=seeded())
    assert "landmark_index" in dict(layer.named_buffers())


@pytest.mark.parametrize("landmarks", SAMPLERS)
def test_layer_is_projections_around_attend(landmarks: str) -> None:
    shape = Shape(batch_size=2, num_heads=2, head_dim=4, seq_len=48, grid=(8, 6))
    params = soft.Params(num_landmarks=4, landmarks=landmarks, conv_kernel_size=3)  # type: ignore[arg-type]
    layer = soft.Attention(shape, params, generator=seeded()).double()
    x = tokens(2, 48, 8)
    # Heads as the columns of the projected tokens, four at a time.
    projections = (layer.get_submodule("q_proj"), layer.get_submodule("v_proj"))
    q, v = (torch.stack(project(x).split(4, dim=-1), dim=1) for project in projections)
    weights = {name: getattr(layer, name) for name in soft.weights(shape, params, seeded())}
    heads = soft.attend(q, None, v, params=params, weights=weights, grid=(8, 6))
    wanted = layer.get_submodule("out_proj")(torch.cat(heads.unbind(1), dim=-1))
    assert relative(layer(x), wanted) < 1e-12


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"inverse": "newtn"}, "no inverse 'newtn'; did you mean 'newton'?"),
        ({"conv_kernel_size": 4}, "4 is even; take 3 or 5, or 0 for none"),
        ({"conv_kernel_size": -1}, "greater than or equal to 0"),
        ({"num_landmarks": 0}, "greater than or equal to 1"),
        ({"num_newton_iters": 0}, "greater than or equal to 1"),
        ({"ridge": float("nan")}, "finite number"),
        ({"ridge": -0.1}, "greater than or equal to 0"),
        ({"landmarks": "mean"}, "'pool', 'conv', 'random' or 'first'"),
        ({"gradient": "exact"}, "'implicit' or 'unrolled'"),
        ({"num_landmark": 49}, "Extra inputs are not permitted"),
    ],
)
def test_params_refuse(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as error:
        soft.Params(**fields)
    assert message in str(error.value)


def test_every_param_is_described() -> None:
    assert [name for name, field in soft.Params.model_fields.items() if not field.description] == []


def test_layer_defaults_are_params() -> None:
    assert soft.Params(**soft.LEVEL_DEFAULTS["layer"]).landmarks == "conv"  # type: ignore[arg-type]


def test_keys_are_refused() -> None:
    q = tokens(1, 1, 4, 2)
    options: dict[str, Any] = {"params": soft.Params(num_landmarks=4), "weights": {}, "grid": None}
    with pytest.raises(ValueError, match="keys of soft are its queries; pass None for k"):
        soft.attend(q, q, q, **options)


def test_solver_is_found_without_searching_again(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = call(tokens(1, 1, 9, 4), tokens(1, 1, 9, 4), num_landmarks=4)

    def search(room: str, name: str) -> None:
        raise AssertionError("the registry was searched inside a call")

    monkeypatch.setattr(plugins, "load", search)
    found = call(tokens(1, 1, 9, 4), tokens(1, 1, 9, 4), num_landmarks=4)
    assert torch.equal(found, wanted)
