"""Peak memory against tensors of known size.

Mutants that turned a test here red: the allocator's start not subtracted (CUDA); its peak not
reset; gradients of the warm-up kept (CUDA); frees ignored; no warm-up.
"""

from __future__ import annotations

import pytest
import torch
from metric_cases import make, standing_in
from torch import Tensor

from softbench.case import Unsupported
from softbench.metrics import peak_memory
from softbench.metrics._allocator import peak_above_start
from softbench.protocol import Protocol
from softbench.workload import Workload, build

FLOATS = 100_000
BYTES = 4 * FLOATS
ONE = torch.zeros(FLOATS)


def peak(workload: Workload) -> int | float:
    (value,) = peak_memory.measure(workload, Protocol())["peak_memory"].values
    return value


def test_output_of_known_size() -> None:
    found = peak(standing_in(torch.zeros_like, ONE))
    assert found == BYTES
    assert isinstance(found, int)


def test_what_is_freed_in_between_does_not_add_up() -> None:
    def chain(x: Tensor) -> Tensor:
        for _ in range(5):
            x = x.neg()
        return x

    assert peak(standing_in(chain, ONE)) == 2 * BYTES


def test_the_highest_point_counts_and_not_the_last() -> None:
    def hump(x: Tensor) -> Tensor:
        held = [x.neg() for _ in range(4)]
        del held
        return x.neg()

    assert peak(standing_in(hump, ONE)) == 4 * BYTES


def test_views_and_inputs_add_nothing() -> None:
    def look(x: Tensor) -> Tensor:
        return x.view(10, -1).t()[2:5].expand(2, 3, 10)

    assert peak(standing_in(look, ONE)) == 0


def test_a_view_keeps_its_whole_base_alive() -> None:
    def slice_of_many(x: Tensor) -> Tensor:
        small = x.neg()[:1]
        return torch.cat([small.expand(1), x])

    assert peak(standing_in(slice_of_many, ONE)) == 2 * BYTES + 4


def test_gradients_of_the_step_count_and_older_ones_do_not() -> None:
    x = torch.zeros(FLOATS, requires_grad=True)
    workload = standing_in(
        lambda x: x.neg(), x, cotangent=torch.ones(FLOATS), mode="forward_backward"
    )
    first = peak(workload)
    workload.step()
    assert peak(workload) == first == 2 * BYTES
    assert x.grad is None


def test_what_is_allocated_once_and_for_all_is_not_charged_to_the_step() -> None:
    kept: list[Tensor] = []

    def lazily(x: Tensor) -> Tensor:
        if not kept:
            kept.extend(torch.empty(FLOATS) for _ in range(9))
        return x.neg()

    assert peak(standing_in(lazily, ONE)) == BYTES


def test_walk_of_allocations_and_frees() -> None:
    assert peak_above_start([3, -3, 2, 4, -6, 5]) == 6
    assert peak_above_start([-5, 2]) == 0
    assert peak_above_start([]) == 0


def test_softmax_holds_two_score_matrices_at_once() -> None:
    scores, values = 4 * 8 * 196**2, 4 * 8 * 196 * 64
    assert 2 * scores <= peak(build(make())) <= 2 * scores + 2 * values


def test_meta_is_unsupported() -> None:
    with pytest.raises(Unsupported, match="predicted_peak_memory"):
        peak(build(make(device="meta")))


class FakeAllocator:
    """CUDA's allocator: 1000 bytes live, a gradient of 500 more; a step peaks 700 above that."""

    def __init__(self, x: Tensor) -> None:
        self.x, self.top, self.resets = x, 1000, 0

    @property
    def live(self) -> int:
        return 1000 + (0 if self.x.grad is None else 500)

    def step(self, x: Tensor) -> Tensor:
        self.top = max(self.top, self.live + (9000 if self.resets == 0 else 700))
        return x.neg()

    def reset(self, device: str) -> None:
        self.resets += 1
        self.top = self.live


def test_cuda_peak_is_above_the_start_and_not_of_the_warm_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x = torch.zeros(4, requires_grad=True)
    fake = FakeAllocator(x)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: fake.live)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: fake.top)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", fake.reset)
    monkeypatch.setattr("softbench.workload._check_output", lambda output, case: None)
    workload = standing_in(
        fake.step, x, cotangent=torch.ones(4), device="cuda", mode="forward_backward"
    )
    found = peak_memory.measure(workload, Protocol())["peak_memory"]
    assert found.values == [700]
    assert found.detail["instrument"] == "cuda caching allocator"
