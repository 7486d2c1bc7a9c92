"""What the layers of all but the first two mechanisms share: projections around attend, compiling.

Broken on purpose, each of these turned a test here red: keys and queries swapped, projections
dealt out in another order, the output projection left out.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
import torch
from mechanism_checks import relative, seeded, tokens

from softbench.attention import linformer, nystromformer, performer, soft_norm
from softbench.case import Shape

SHAPE = Shape(batch_size=2, num_heads=2, head_dim=4, seq_len=36)
LAYERS: list[tuple[ModuleType, dict[str, Any]]] = [
    (soft_norm, {"num_landmarks": 9, "landmarks": "conv", "conv_kernel_size": 3}),
    (soft_norm, {"num_landmarks": 4, "landmarks": "random", "scope": "batch"}),
    (linformer, {"projection_length": 7}),
    (linformer, {"projection_length": 7, "share": "kv", "per_head": True}),
    (performer, {}),
    (performer, {"kernel": "relu"}),
    (nystromformer, {"num_landmarks": 5, "conv_kernel_size": 3}),
]
ALL = pytest.mark.parametrize(("mechanism", "options"), LAYERS)


def layer(mechanism: ModuleType, options: dict[str, Any]) -> Any:
    return mechanism.Attention(SHAPE, mechanism.Params(**options), generator=seeded()).double()


@ALL
def test_layer_is_projections_around_attend(mechanism: ModuleType, options: dict[str, Any]) -> None:
    built, x = layer(mechanism, options), tokens(2, 36, 8)
    shared = hasattr(mechanism, "SHARES_KEYS")
    heads = {
        kind: torch.stack(getattr(built, f"{kind}_proj")(x).split(4, dim=-1), dim=1)
        for kind in ("qv" if shared else "qkv")
    }
    params = mechanism.Params(**options)
    weights = {name: getattr(built, name) for name in mechanism.weights(SHAPE, params, seeded())}
    out = mechanism.attend(
        heads["q"], heads.get("k"), heads["v"], params=params, weights=weights, grid=SHAPE.grid
    )
    assert relative(built(x), built.out_proj(torch.cat(out.unbind(1), dim=-1))) < 1e-12


@ALL
def test_an_image_does_not_know_its_batch_mates(
    mechanism: ModuleType, options: dict[str, Any]
) -> None:
    x = tokens(2, 36, 8) * torch.tensor([0.5, 3.0]).double()[:, None, None]
    built = layer(mechanism, options | ({"num_newton_iters": 5} if "scope" in options else {}))
    alone = torch.cat([built(x[:1]), built(x[1:])])
    together = built(x)
    assert (relative(together, alone) < 1e-12) == (options.get("scope") != "batch")


@ALL
def test_layer_can_be_compiled_whole(mechanism: ModuleType, options: dict[str, Any]) -> None:
    sys.setprofile(None)  # the check of shape suffixes stands in the compiler's way
    steps = {"num_newton_iters", "num_pinv_iters"} & set(mechanism.Params.model_fields)
    built = layer(mechanism, options | dict.fromkeys(steps, 2))  # a graph of all takes long to make
    compiled: Any = torch.compile(built, backend="aot_eager", fullgraph=True)
    x = tokens(2, 36, 8).requires_grad_()
    out, wanted = compiled(x), built(x)
    assert relative(out, wanted) < 1e-12
    (grad,), (wanted_grad,) = (torch.autograd.grad(y.sum(), x) for y in (out, wanted))
    assert relative(grad, wanted_grad) < 1e-10
