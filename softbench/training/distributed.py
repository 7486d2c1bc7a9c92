"""The processes of one training: who this one is, and what all of them agree on.

Under torchrun every process is given a rank; alone, a training is a world of one and none of this
costs anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from timm.utils.distributed import distribute_bn, init_distributed_device_so
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from softbench.training.errors import RecipeError


@dataclass(frozen=True)
class World:
    """This process's place among `size`, and its device."""

    device: torch.device
    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes and speaks for all."""
        return self.rank == 0

    def total(self, values: Tensor) -> Tensor:
        """The sum over all processes, element by element, in place."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def gathered(self, value: Any) -> list[Any]:
        """What every process has, in the order of ranks."""
        if self.size == 1:
            return [value]
        found: list[Any] = [None] * self.size
        dist.all_gather_object(found, value)
        return found


def join(device: str) -> World:
    """This process's world: alone, or what torchrun (or Slurm) started it in.

    `auto` takes the GPU that the rank says, if there is one. RecipeError: no such device.
    """
    there = torch.cuda.device_count()
    if device == "auto":
        device = "cuda" if there else "cpu"
    known = ["cpu", *(["cuda"] if there else []), *(f"cuda:{index}" for index in range(there))]
    if device not in known:
        raise RecipeError(f"device {device!r} is not here; known: auto, {', '.join(known)}")
    found = init_distributed_device_so(device)
    return World(torch.device(found["device"]), found["global_rank"], found["world_size"])


def leave() -> None:
    """Part from the other processes."""
    if dist.is_initialized():
        dist.destroy_process_group()


def parallel(model: nn.Module, world: World) -> nn.Module:
    """The module to call in training: its gradients are the mean over all processes."""
    if world.size == 1:
        return model
    return DistributedDataParallel(
        model, device_ids=[world.device] if world.device.type == "cuda" else None
    )


def apart(runner: nn.Module) -> AbstractContextManager[None]:
    """Inside, gradients stay this process's own."""
    return runner.no_sync() if isinstance(runner, DistributedDataParallel) else nullcontext()


def settle(runner: nn.Module, example: Tensor) -> None:
    """Let DDP lay out its buckets now, which it does after a first backward pass.

    The order in which three or more processes' gradients are added goes by the place in a bucket:
    left to itself the first update of a resumed training would round differently from the same one
    of a training that was not interrupted. In eval mode no buffer and no generator moves.
    """
    if isinstance(runner, DistributedDataParallel):
        module: nn.Module = runner
        module.eval()
        module(example).sum().backward()
        module.train()
        runner.zero_grad(set_to_none=True)


def same_buffers(models: Sequence[nn.Module], world: World) -> None:
    """Every process takes the first one's batch-norm statistics: what it saves is what counts."""
    for model in models if world.size > 1 else ():
        distribute_bn(model, world.size, reduce=False)
