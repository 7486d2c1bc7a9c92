"""First values of a backbone's weights, drawn from a generator that is given.

PyTorch's and timm's own layers draw theirs from the global stream when they are made. They are
drawn again here, so that a model is reproduced from its seed whatever else runs in the process.
"""

from __future__ import annotations

import hashlib
import math

import torch
from torch import nn


class Streams:
    """Generators by name from one draw: what has one name starts alike, whatever stands beside it.

    So models that differ in their attention alone share all their other first values, and what
    they learn is compared from one start.
    """

    def __init__(self, generator: torch.Generator) -> None:
        """generator: whose next draw all streams follow from."""
        # On the CPU by name: the model may be built under another default device.
        self._seed = int(torch.randint(2**62, (), generator=generator, device="cpu"))

    def of(self, name: str) -> torch.Generator:
        """The stream of a layer, at its start."""
        digest = hashlib.sha256(f"{self._seed}/{name}".encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:8]) >> 1)


def own_generator() -> torch.Generator:
    """A generator that follows from PyTorch's global seed, for who gives none."""
    seed = torch.randint(2**62, (), device="cpu")  # as in Streams
    return torch.Generator().manual_seed(int(seed))


def rising(last: float, number: int) -> list[float]:
    """`number` rates from 0 to `last`, evenly: how often the path of each block is dropped."""
    return [last * index / max(1, number - 1) for index in range(number)]


def by_fan_in(module: nn.Module, streams: Streams) -> None:
    """Draw every linear layer and convolution in `module` from U(-1/√fan_in, 1/√fan_in)."""
    for name, layer in module.named_modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            bound, generator = 1 / math.sqrt(layer.weight[0].numel()), streams.of(name)
            for tensor in layer.parameters(recurse=False):
                nn.init.uniform_(tensor, -bound, bound, generator=generator)


def words(module: nn.Module, streams: Streams) -> None:
    """Draw every embedding of whole numbers in `module` from N(0, 1)."""
    for name, layer in module.named_modules():
        if isinstance(layer, nn.Embedding):
            nn.init.normal_(layer.weight, generator=streams.of(name))


def narrow(module: nn.Module, streams: Streams, std: float) -> None:
    """Draw every linear layer in `module` from a normal of `std`, cut at ±2, biases 0."""
    for name, layer in module.named_modules():
        if isinstance(layer, nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=std, generator=streams.of(name))
            nn.init.zeros_(layer.bias)


def embedding(*sizes: int, std: float, generator: torch.Generator) -> nn.Parameter:
    """A learned tensor of `sizes`, normal with `std`."""
    return nn.Parameter(nn.init.normal_(torch.empty(sizes), std=std, generator=generator))
