"""Dense attention in float64 by blocks of queries: what an approximation is compared with.

A row of dense attention depends on its own query alone, so a few rows at a time give the whole
without ever holding N × N: a block of scores takes BLOCK_BYTES at most, or one row. The dense thing
that a mechanism names as its `exact` must be of that kind: given a block of queries, all keys (the
queries, where a mechanism shares them) and all values, it returns that block's rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from torch import Tensor

Rows = Callable[[Tensor, Tensor, Tensor], Tensor]
BLOCK_BYTES = 2**24
FLOAT64_BYTES = 8
SCORE_FLOPS = 1000


def softmax_rows(q_BHTD: Tensor, k_BHND: Tensor, v_BHND: Tensor) -> Tensor:
    """[B, H, T, D]: softmax(q kᵀ/√D) v for a block of T queries (Vaswani et al., 2017, eq. 1)."""
    scores_BHTN = q_BHTD @ k_BHND.mT / math.sqrt(q_BHTD.shape[-1])
    return scores_BHTN.softmax(-1) @ v_BHND


def row_blocks(shape: tuple[int, ...]) -> Iterator[slice]:
    """Slices of the N queries of [B, H, N, D]: as many rows as fit into the block's bytes."""
    B, H, N, _ = shape
    rows = max(1, BLOCK_BYTES // (FLOAT64_BYTES * B * H * N))
    for start in range(0, N, rows):
        yield slice(start, min(start + rows, N))


def work(shape: tuple[int, ...], dense: int) -> int:
    """FLOPs of `dense` such references, in float32 products that take as long.

    Two products a reference, float64 at half the speed, and for every score SCORE_FLOPS more:
    the exponential and the passes through memory, as measured on a CPU.
    """
    B, H, N, D = shape
    return dense * B * H * N**2 * (2 * 2 * 2 * D + SCORE_FLOPS)
