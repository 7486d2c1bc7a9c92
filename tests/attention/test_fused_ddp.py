"""A layer of SOFT with backend `fused` trains under DistributedDataParallel.

Mutants seen red: a rank's gradients kept for itself, both ranks given the same images, a weight of
the layer that no gradient reaches.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mechanism_checks import relative, seeded, tokens
from torch import Tensor, distributed
from torch.multiprocessing.spawn import spawn
from torch.nn.parallel import DistributedDataParallel

from softbench.attention import soft
from softbench.case import Shape
from softbench.kernels import low_rank

pytestmark = pytest.mark.skipif(not low_rank.is_built(), reason="no C++ compiler built the kernels")

RANKS = 2


def layer() -> torch.nn.Module:
    shape = Shape(batch_size=2 * RANKS, num_heads=4, seq_len=196, head_dim=16)
    params = soft.Params(landmarks="conv", conv_kernel_size=5)
    return soft.Attention(shape, params, backend="fused", generator=seeded()).double()


def gradients(call: torch.nn.Module, images: slice) -> list[Tensor]:
    """Of the mean square of the outputs of those images of one batch, by every weight."""
    x = tokens(2 * RANKS, 196, 64)[images]
    call(x).square().mean().backward()
    return [one.grad for one in call.parameters() if one.grad is not None]


def train(rank: int, num_ranks: int, folder: str) -> None:
    """What one rank does: its part of the batch, and its gradients into a file."""
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=num_ranks
    )
    try:
        size = 2 * RANKS // num_ranks
        images = slice(rank * size, (rank + 1) * size)
        torch.save(gradients(DistributedDataParallel(layer()), images), f"{folder}/{rank}.pt")
    finally:
        distributed.destroy_process_group()


def test_one_rank_has_the_gradients_of_the_plain_layer(tmp_path: Path) -> None:
    train(0, 1, str(tmp_path))
    assert farthest_of(tmp_path / "0.pt") < 1e-12


@pytest.mark.slow
def test_two_ranks_have_the_gradients_of_the_whole_batch(tmp_path: Path) -> None:
    """Each takes half of the batch, in a process of its own; gradients are averaged."""
    spawn(train, args=(RANKS, str(tmp_path)), nprocs=RANKS)  # type: ignore[no-untyped-call]
    assert max(farthest_of(tmp_path / f"{rank}.pt") for rank in range(RANKS)) < 1e-12


def farthest_of(file: Path) -> float:
    """The largest relative error of a rank's gradients, held to those of one process."""
    found, wanted = torch.load(file), gradients(layer(), slice(None))
    assert len(found) == len(wanted) == len(list(layer().parameters()))
    return max(map(relative, found, wanted))
