"""What a call has to do, against what its formula says by hand.

Mutants seen red: views counted, an expanded tensor counted at its full size, memory that is only
taken counted as moved, outputs left out, what lies in place counted as fresh, small tensors counted
as fresh, fresh pages on CUDA, a fused attention without exponentials, its backward without them,
the cotangent left out, gradients left out, weights left out.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from metric_cases import make
from torch import Tensor

from softbench.metrics import flops
from softbench.metrics._work import FRESH_BYTES, WorkCounter, work_of

N, B, H, D = 196, 1, 8, 64
TENSOR = 4 * B * H * N * D  # bytes of q, in float32
SCORES = B * H * N * N


def counted(function: Callable[[Tensor, Tensor], object], numbers: int = 600) -> WorkCounter:
    one, other = (torch.empty(numbers // 6, 6, device="meta") for _ in range(2))
    counter = WorkCounter()
    with counter:
        function(one, other)
    return counter


@pytest.mark.parametrize(
    ("function", "moved", "operators"),
    [
        (lambda x, y: x + y, 3 * 2400, 1),
        (lambda x, y: x.add_(y), 3 * 2400, 1),
        (lambda x, y: x.reshape(6, 100).mT[2:].detach(), 0, 0),
        (lambda x, y: x + y[:1].expand(100, 6), 2 * 2400 + 24, 1),
        (lambda x, y: torch.empty_like(x), 0, 0),
        (lambda x, y: x @ y.mT, 2 * 2400 + 40000, 1),
        (lambda x, y: (x + y).sum(), 3 * 2400 + 2400 + 4, 2),
    ],
)
def test_bytes_are_moved_by_operators_that_are_no_views(
    function: Callable[[Tensor, Tensor], object], moved: int, operators: int
) -> None:
    found = counted(function)
    assert (found.moved_bytes, found.operators, found.exponentials) == (moved, operators, 0)


@pytest.mark.parametrize(
    ("function", "exponentials"),
    [
        (lambda x, y: x.exp(), 600),
        (lambda x, y: x.exp_(), 600),
        (lambda x, y: x.softmax(-1), 600),
        (lambda x, y: x.logsumexp(-1), 600),
        (lambda x, y: x * y, 0),
    ],
)
def test_exponentials_are_counted_by_element(
    function: Callable[[Tensor, Tensor], object], exponentials: int
) -> None:
    assert counted(function).exponentials == exponentials


@pytest.mark.parametrize(
    ("function", "times"),
    [
        (lambda x, y: x + y, 1),
        (lambda x, y: x.add_(y), 0),
        (lambda x, y: (x * 2).mul_(y), 1),
        (lambda x, y: x[:6] + y[:6], 0),
    ],
)
def test_a_large_tensor_that_is_new_is_written_into_fresh_pages(
    function: Callable[[Tensor, Tensor], object], times: int
) -> None:
    numbers = FRESH_BYTES // 4 + 4  # just above, and a multiple of six
    assert numbers % 6 == 0
    assert counted(function, numbers).fresh_bytes == times * 4 * numbers


def test_softmax_by_hand() -> None:
    work = work_of(make(seq_len=N))
    assert work.flops == sum(flops.closed_form(make(seq_len=N)).values())
    assert work.compulsory_bytes == 4 * TENSOR  # q, k, v and the output
    # q is scaled; two products, and a softmax between them, through the scores
    assert work.moved_bytes == 6 * TENSOR + 4 * 4 * SCORES
    assert (work.exponentials, work.operators, work.fresh_bytes) == (SCORES, 4, 0)


def test_a_fused_attention_moves_no_scores() -> None:
    work = work_of(make(seq_len=N, backend="sdpa"))
    assert work.compulsory_bytes == 4 * TENSOR
    assert work.moved_bytes == 4 * TENSOR + 4 * B * H * N  # and the sums of its rows
    assert (work.exponentials, work.operators) == (SCORES, 1)


def test_gradients_are_written_and_the_output_s_is_read() -> None:
    eager, fused = (
        work_of(make(seq_len=N, backend=backend, mode="forward_backward"))
        for backend in ("eager", "sdpa")
    )
    assert eager.compulsory_bytes == fused.compulsory_bytes == 8 * TENSOR
    assert eager.exponentials == SCORES
    assert fused.exponentials == 2 * SCORES  # its backward computes them again


def test_weights_are_read() -> None:
    weights = 4 * 4 * ((H * D) ** 2 + H * D)
    work = work_of(make(seq_len=N, level="layer"))
    assert work.compulsory_bytes == weights + 2 * TENSOR
    work = work_of(make(seq_len=N, level="layer", mode="forward_backward"))
    assert work.compulsory_bytes == 2 * weights + 4 * TENSOR


def test_fresh_pages_are_the_host_s_affair() -> None:
    on_cpu, on_cuda = (work_of(make(seq_len=3136, device=device)) for device in ("cpu", "cuda"))
    assert on_cpu.fresh_bytes == 2 * 4 * B * H * 3136**2  # the scores, and their softmax
    assert on_cuda.fresh_bytes == 0


def test_a_million_tokens_are_counted_without_computing() -> None:
    work = work_of(make("soft", seq_len=1048576))
    assert work.compulsory_bytes == 3 * 4 * B * H * 1048576 * D
