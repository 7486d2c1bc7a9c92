"""Drawing weights from a case's own generator, and hanging them on a module.

Learned tensors follow the uniform rule that PyTorch's own layers use, `U(-1/√fan_in, 1/√fan_in)`,
but drawn from a generator that is given, never from the global one: a case is reproduced from its
seed whatever else runs in the process.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn


def uniform(*sizes: int, fan_in: int, generator: torch.Generator) -> nn.Parameter:
    """A learned tensor of `sizes`, uniform within ±1/√fan_in."""
    bound = 1 / math.sqrt(fan_in)
    return nn.Parameter(torch.empty(sizes).uniform_(-bound, bound, generator=generator))


def linear(fan_in: int, fan_out: int, *, generator: torch.Generator) -> nn.Linear:
    """A linear layer with bias, [..., fan_in] to [..., fan_out], drawn from `generator`."""
    # On meta, so that the layer's own initialisation neither costs nor touches the global seed.
    layer = nn.Linear(fan_in, fan_out, device="meta")
    layer.weight = uniform(fan_out, fan_in, fan_in=fan_in, generator=generator)
    layer.bias = uniform(fan_out, fan_in=fan_in, generator=generator)
    return layer


def register(module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Hang `weights` on `module` by name: a parameter is learned, any other tensor is a buffer."""
    for name, tensor in weights.items():
        if isinstance(tensor, nn.Parameter):
            module.register_parameter(name, tensor)
        else:
            module.register_buffer(name, tensor)


def registered(module: nn.Module, names: Iterable[str]) -> dict[str, Tensor]:
    """The tensors that `register` hung on `module`, as they are now (moved, cast, trained)."""
    return {name: getattr(module, name) for name in names}
