"""soft_tiny and soft_norm_tiny against the released code: logits, gradient norms and probes.

Weights are made from their released names by the rule in the goldens' meta, so that a wrong map of
names turns these red too; the image is not square, so that swapped sides do.

Seen red: tanh-GELU in the last stage and the exact one before it (3e-4 of the logits), an eps of
1e-5 in its blocks (4e-5) or in the last norm (2e-6), positions resized to the nearest, keys and
values swapped. The step size of one matrix in place of the batch's stays green here, as the
iteration converges; tests/attention/test_soft_norm.py holds it.
"""

from __future__ import annotations

import math
import zlib
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from softbench.models import _checkpoints, _released
from softbench.models._backbone import Backbone
from softbench.models._sizes import SIZES


def drawn(name: str, shape: tuple[int, ...]) -> Tensor:
    """The goldens' rule: values follow from the name."""
    generator = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
    if name.endswith("num_batches_tracked"):
        return torch.zeros(())
    if name.endswith("running_var"):
        return _float32(0.5 + generator.random(shape))
    z = generator.standard_normal(shape)
    if name.endswith("running_mean"):
        return _float32(0.1 * z)
    if "pos_embed" in name or name == "cls_token":
        return _float32(0.2 * z)
    if len(shape) == 1:
        return _float32(1 + 0.1 * z if name.endswith(".weight") else 0.05 * z)
    return _float32(z / math.sqrt(math.prod(shape[1:])))


def _float32(values: Any) -> Tensor:
    return torch.from_numpy(values.astype(np.float32)).double()


def normal(name: str, shape: tuple[int, ...]) -> Tensor:
    generator = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
    return _float32(generator.standard_normal(shape))


@pytest.mark.parametrize("attention", ["soft", "soft_norm"])
def test_logits_and_gradients_are_those_of_the_released_code(
    attention: str, golden: Any, golden_meta: Any
) -> None:
    meta = golden_meta("models")
    values = golden("models", f"{attention}_tiny_64x96")
    shapes = meta["state_dict_shapes"]
    weights = {name: drawn(name, tuple(shape)) for name, shape in shapes.items()}
    model = Backbone(SIZES["tiny"], attention=attention).double().eval()
    model.load_state_dict(_checkpoints.checkpoint_filter_fn(weights, model))
    logits = model(normal("image:64x96", (1, 3, 64, 96)))
    error = (logits.detach() - values["logits"]).norm() / values["logits"].norm()
    assert float(error) < 1e-9
    (logits * normal("cot", (1, 1000))).sum().backward()
    gradients: dict[str, Any] = {name: one.grad for name, one in model.named_parameters()}
    for index, name in enumerate(meta["param_names"]):
        gradient = torch.cat([gradients[here] for here in _released.names_here(name)])
        norm = float(gradient.norm())
        probe = float((gradient * normal(f"probe:{name}", tuple(gradient.shape))).sum())
        wanted = float(values["grad_norm"][index])
        assert norm == pytest.approx(wanted, rel=1e-7), name
        assert abs(probe - float(values["grad_probe"][index])) <= 1e-7 * wanted, name
