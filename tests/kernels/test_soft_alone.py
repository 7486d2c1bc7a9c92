"""SOFT without a gradient to come is SOFT, and keeps nothing for one.

Mutants seen red: threads that share what they keep, no exponentials counted. That it runs at all
where no gradient is to come, the memory in test_fused_in_use shows.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from softbench.kernels import costs, low_rank, pooled_soft

pytestmark = pytest.mark.skipif(not low_rank.is_built(), reason="no C++ compiler built the kernels")
EDGES = (tuple(range(0, 200, 10)) + tuple(range(10, 201, 10)), (0, 1), 1)  # 20 landmarks
STEPS = (20, 0.01)


def tokens(*shape: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    q, v = (torch.randn(*shape, generator=generator).to(dtype) for _ in range(2))
    return q, v


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("shape", [(2, 3, 200, 16), (5, 1, 200, 20), (1, 0, 200, 16)])
def test_it_is_the_same_to_the_last_bit(
    shape: tuple[int, ...], threads: int, dtype: torch.dtype
) -> None:
    q, v = tokens(*shape, dtype=dtype)
    wanted = pooled_soft.pooled_soft(q.requires_grad_(), v, EDGES, *STEPS)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.no_grad():
            assert pooled_soft.pooled_soft(q, v, EDGES, *STEPS).equal(wanted)
    finally:
        torch.set_num_threads(before)


def test_it_costs_the_same_and_gives_back_the_output_alone() -> None:
    q, v = tokens(1, 2, 200, 16)
    given = (q, v, *EDGES, *STEPS)
    kept = torch.ops.softbench.soft.default(*given)
    alone = torch.ops.softbench.soft_alone.default(*given)
    assert isinstance(alone, Tensor)
    names = ("softbench::soft", "softbench::soft_alone")
    one, other = (costs.FLOPS[name](given, kept) for name in names)
    assert one == other > 0
    assert costs.exponentials(names[0], given) == costs.exponentials(names[1], given) > 0


def test_one_thread_has_room_for_one_head() -> None:
    """Of what is kept for a gradient, [M, 3 D + M] a head; without one, of one head at a time."""
    (q, v), small = tokens(1, 64, 200, 16), tokens(1, 1, 200, 16)
    with torch.no_grad():
        found = costs.workspace_bytes("softbench::soft_alone", (q, v, *EDGES, *STEPS))
        of_one = costs.workspace_bytes("softbench::soft_alone", (*small, *EDGES, *STEPS))
    assert found == of_one * torch.get_num_threads()
