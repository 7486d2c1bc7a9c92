"""Mixed precision: products narrow, kernel and inverse of SOFT in float32; gradients scaled.

Seen red: a backward pass inside autocast, which rounds the inverse's gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import torch
from training_cases import ALONE, PLAIN, image_folder, tiny

from softbench.attention import soft
from softbench.case import Shape
from softbench.training.session import prepared

NARROW = (torch.bfloat16, torch.float16)
Recorder = Callable[[], AbstractContextManager[list[tuple[str, Any]]]]


def layer(backend: str) -> torch.nn.Module:
    shape = Shape(batch_size=2, num_heads=3, seq_len=64, head_dim=8)
    params = soft.Params(num_landmarks=16, landmarks="conv")
    return soft.Attention(
        shape, params, backend=backend, generator=torch.Generator().manual_seed(0)
    )


@pytest.mark.parametrize("dtype", NARROW, ids=str)
@pytest.mark.parametrize("backend", ["eager", "auto"])
def test_the_inverse_stays_in_float32_under_autocast(
    dtype: torch.dtype, backend: str, recorded_operators: Recorder
) -> None:
    call = layer(backend)
    x_BNC = torch.randn(2, 64, 24, generator=torch.Generator().manual_seed(1))
    wide_BNC = call(x_BNC)
    with recorded_operators() as calls:
        with torch.autocast("cpu", dtype):
            out_BNC = call(x_BNC)
        out_BNC.float().square().mean().backward()
    products = [result for name, result in calls if name in ("bmm", "mm", "addmm", "matmul")]
    inverses = [result for result in products if result.shape[-2:] == (16, 16) and result.ndim == 3]
    assert {result.dtype for result in inverses} <= {torch.float32}
    if backend == "eager":
        assert len(inverses) >= 40  # two products in each of twenty steps
    assert dtype in {result.dtype for result in products}
    assert all(weight.grad is not None for weight in call.parameters())
    assert all(
        bool(weight.grad.isfinite().all())
        for weight in call.parameters()
        if weight.grad is not None
    )
    assert (
        0
        < float((out_BNC.detach().float() - wide_BNC.detach()).norm() / wide_BNC.norm().detach())
        < 0.03
    )


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_pass_is_narrow_and_weights_stay_wide(dtype: str, tmp_path: Path) -> None:
    rate = {
        "name": "momentum",
        "base_lr": 1.0,
        "base_images": 8,
        "weight_decay": 0.0,
        "clip_grad": 0.01,
    }
    recipe = tiny(**PLAIN, dtype=dtype, optimizer=rate)
    loop = prepared(recipe, image_folder(tmp_path), ALONE)
    seen: list[torch.dtype] = []
    loop.parts.model.register_forward_hook(lambda module, given, out: seen.append(out.dtype))
    backwards: list[bool] = []
    for weight in loop.parts.model.parameters():
        weight.register_hook(  # type: ignore[no-untyped-call]
            lambda _: backwards.append(torch.is_autocast_enabled("cpu"))
        )
    before = [weight.detach().clone() for weight in loop.parts.model.parameters()]
    events = loop.run()
    for _ in range(2):
        next(events)
    assert seen[0] == getattr(torch, dtype)
    assert set(backwards) == {False}  # the products of an inverse's gradient would be narrowed
    assert {weight.dtype for weight in loop.parts.model.parameters()} == {torch.float32}
    assert loop.parts.scaler.is_enabled() == (dtype == "float16")
    after = loop.parts.model.parameters()
    moved = [old - new.detach() for old, new in zip(before, after, strict=True)]
    # Two steps of 0.01 after the gradients were clipped to it; unscaled too late it is far less.
    assert 0.005 < float(torch.cat([one.flatten() for one in moved]).norm()) < 0.03
