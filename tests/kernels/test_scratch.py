"""What the compiled kernels compute in: the caller's, whatever was in it before, told beforehand.

Mutants seen red: rows of A not filled up, R not filled up below, dW not begun at zero, no share of
its own for a thread, the longer of two steps not looked at, tensors that are filled up or cut left
out of the prediction, the prediction without what is computed in.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor

from softbench.case import Case, Shape
from softbench.contract.attention import case
from softbench.kernels import _compiled, landmark_inverse, low_rank, pooled_soft
from softbench.metrics import peak_memory, predicted_peak_memory
from softbench.protocol import Protocol
from softbench.workload import build

pytestmark = pytest.mark.skipif(not low_rank.is_built(), reason="no C++ compiler built the kernels")


@contextmanager
def memory_of_nan() -> Iterator[None]:
    """What PyTorch hands out empty is full of NaN."""
    torch.use_deterministic_algorithms(True)
    try:
        assert torch.empty(3).isnan().all()
        yield
    finally:
        torch.use_deterministic_algorithms(False)


def drawn(*shape: int, dtype: torch.dtype) -> Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return (torch.randn(*shape, generator=generator) / 2).to(dtype).requires_grad_()


def results(name: str, number: int, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """Output and gradients of one of the kernels for so many landmarks."""
    q, v = drawn(1, 2, 203, 20, dtype=dtype), drawn(1, 2, 203, 20, dtype=dtype)
    landmarks = drawn(1, 2, number, 20, dtype=dtype)
    if name == "inverse":
        given: tuple[Tensor, ...] = (landmarks,)
        out = landmark_inverse.inverse(landmarks, num_iters=3, ridge=0.01)
    elif name == "low_rank":
        given = (q, landmarks, drawn(1, 2, number, number, dtype=dtype), v)
        out = low_rank.low_rank(*given)
    else:
        given = (q, v)
        edges = (*range(number), *range(1, number), 203)
        out = pooled_soft.pooled_soft(q, v, (edges, (0, 1), 1), 3, 0.01)
    return out, *torch.autograd.grad(out, given, torch.ones_like(out).cumsum(-1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("number", [1, 6, 16, 17, 49, 50])
@pytest.mark.parametrize("name", ["inverse", "low_rank", "soft"])
def test_what_was_in_it_before_changes_nothing(name: str, number: int, dtype: torch.dtype) -> None:
    wanted = results(name, number, dtype)
    with memory_of_nan():
        found = results(name, number, dtype)
    assert all(one.isfinite().all() for one in wanted)
    assert all(one.equal(other) for one, other in zip(found, wanted, strict=True))


def sized(head_dim: int, mode: str, params: dict[str, Any]) -> Case:
    shape = Shape(num_heads=4, seq_len=784, head_dim=head_dim)
    return case(
        "soft", backend="fused", shape=shape, mode=mode, dtype="float32", params=params,
    )  # fmt: skip


@pytest.mark.parametrize("mode", ["forward", "forward_backward"])
@pytest.mark.parametrize("landmarks", ["pool", "first"])
@pytest.mark.parametrize("head_dim", [64, 20])
def test_it_is_in_the_predicted_peak(head_dim: int, landmarks: str, mode: str) -> None:
    """With many landmarks, so that matrices between them outweigh the tokens."""
    params = {"num_landmarks": 196, "landmarks": landmarks}
    workload = build(sized(head_dim, mode, params))
    found = peak_memory.measure(workload, Protocol())["peak_memory"].values[0]
    (told,) = predicted_peak_memory.measure(workload, Protocol()).values()
    assert told.values[0] == pytest.approx(found, rel=0.001)


def size(name: str, number: int, threads: int = 1) -> int:
    sizes = _compiled.Sizes(1, 8, 100, number, 16, threads, 1.0)
    return _compiled.scratch_size(name, torch.float32, sizes)


@pytest.mark.parametrize("name", _compiled.WITH_SCRATCH)
def test_every_thread_has_its_own(name: str) -> None:
    assert size(name, 9, threads=3) == 3 * size(name, 9) > 0


def test_threads_do_not_share_it() -> None:
    """With heads that take long enough for threads to be at work side by side."""
    q = drawn(1, 8, 1600, 64, dtype=torch.float32).detach()
    edges = tuple(range(0, 1600, 32)), tuple(range(32, 1601, 32))

    def result() -> Tensor:
        with torch.no_grad():
            return pooled_soft.pooled_soft(q, q, (edges[0] + edges[1], (0, 1), 1), 9, 0.01)

    wanted = result()
    torch.set_num_threads(4)
    try:
        assert all(result().equal(wanted) for _ in range(5))
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize("number", [9, 100])
def test_steps_that_follow_one_another_share_it(number: int) -> None:
    assert size("soft", number) == max(size("forward", number), size("inverse", number))
    steps = size("backward", number), size("inverse_gradient", number)
    between = size("soft_gradient", number) - max(steps)
    gradients = number * (2 * 16 + number)  # of landmarks, once through X, and of X
    assert gradients <= between < gradients + 3 * 16  # three pieces in whole lines
