"""The parts of a step's memory: tensors of known size, and sums that must come out.

Mutants seen red: a view's bytes for its storage's, the output left out of what is left, the
cotangent left out of what lived, saved inputs counted, a storage counted once a save, the resident
peak not started over or read too late, no first call, the parts of CUDA exchanged, its cache or its
peak not started over, what is not the case's counted as its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from metric_cases import make, standing_in
from torch import Tensor
from torch.autograd.profiler import profile

from softbench.case import Measurement, Unsupported
from softbench.metrics import memory, peak_memory
from softbench.metrics._allocator import storage_bytes
from softbench.metrics._finite import NonFiniteError
from softbench.metrics._resident import resident_bytes
from softbench.protocol import Protocol
from softbench.workload import Workload, build

FLOATS = 100_000
BYTES = 4 * FLOATS
MIB = 2**20
ONE = torch.zeros(FLOATS)
MECHANISMS = ("softmax", "soft", "soft_norm", "linformer", "performer", "nystromformer")


def parts(workload: Workload) -> dict[str, Any]:
    """Each part's value; None where there is none."""
    found = memory.measure(workload, Protocol())
    return {
        name.removesuffix("_memory"): part.values[0] if isinstance(part, Measurement) else None
        for name, part in found.items()
    }


def backward(function: Any, *inputs: Tensor) -> Workload:
    return standing_in(
        function, *inputs, cotangent=torch.ones(FLOATS), mode="forward_backward"
    )  # fmt: skip


def test_a_step_of_known_sizes() -> None:
    found = parts(standing_in(lambda x: x.neg().neg().neg(), ONE))
    assert found["input"] == found["output"] == found["workspace"] == BYTES
    assert found["parameter"] == found["saved"] == 0
    assert found["allocated"] == 3 * BYTES
    assert found["reserved"] is found["device"] is None


def test_a_view_keeps_all_that_it_is_a_view_of() -> None:
    """A slice of a few bytes that keeps a big tensor alive is as large as that."""
    found = parts(standing_in(lambda x: x.neg()[:3], ONE[:5]))
    assert found["input"] == BYTES
    assert found["output"] == 20
    assert parts(standing_in(lambda x: x.neg()[:3], ONE))["output"] == BYTES
    assert storage_bytes([ONE, ONE[:5], ONE.view(10, -1).t(), ONE.clone()]) == 2 * BYTES


def test_what_the_backward_needs_is_saved_once_and_inputs_are_not() -> None:
    x = torch.zeros(FLOATS, requires_grad=True)
    assert parts(backward(lambda x: x * x, x))["saved"] == 0
    assert parts(backward(lambda x: x.exp(), x))["saved"] == BYTES  # its output
    assert parts(backward(lambda x: x.exp().exp(), x))["saved"] == 2 * BYTES
    twice = backward(lambda x: (y := x.neg()) * y + y.sin(), x)
    assert parts(twice)["saved"] == BYTES
    assert x.grad is None


@pytest.mark.parametrize("level", ["operator", "layer"])
@pytest.mark.parametrize("name", MECHANISMS)
def test_the_parts_add_up(name: str, level: str) -> None:
    case = make(name, level=level, mode="forward_backward", seq_len=49, params=_few(name))
    workload = build(case)
    found, peak = parts(workload), _peak(workload)
    assert workload.cotangent is not None
    assert found["allocated"] == (
        found["input"] + found["parameter"] + workload.cotangent.nbytes + peak
    )
    assert peak == found["workspace"] + found["output"] + _gradients(workload)
    assert 0 < found["saved"] <= peak
    assert found["resident"] >= found["input"] + found["parameter"] + found["output"]


@pytest.mark.parametrize("name", MECHANISMS)
def test_the_parts_of_a_forward_add_up(name: str) -> None:
    workload = build(make(name, seq_len=49, params=_few(name)))
    found, peak = parts(workload), _peak(workload)
    assert found["saved"] == 0
    assert found["allocated"] == found["input"] + found["parameter"] + peak
    assert peak == found["workspace"] + found["output"]


@pytest.mark.parametrize("mode", ["forward", "forward_backward"])
@pytest.mark.parametrize("level", ["operator", "layer"])
def test_what_lives_before_is_what_the_allocator_gave_while_it_was_built(
    level: str, mode: str
) -> None:
    case = make("performer", level=level, mode=mode, seq_len=49)
    build(case)
    with profile(profile_memory=True) as profiler:
        workload = build(case)
    assert profiler.kineto_results is not None
    events = profiler.kineto_results.events()
    given = sum(event.nbytes() for event in events if event.name() == "[memory]")
    found = parts(workload)
    cotangent = 0 if workload.cotangent is None else workload.cotangent.nbytes
    assert given == found["input"] + found["parameter"] + cotangent


def test_nothing_of_one_case_is_carried_into_the_next() -> None:
    alone = parts(build(make(seq_len=49)))
    large = parts(standing_in(lambda x: x.repeat(64, 10).sum(0), ONE))
    after = parts(build(make(seq_len=49)))
    assert large["resident"] - after["resident"] > 200 * MIB
    alone.pop("resident"), after.pop("resident")
    assert after == alone


def test_a_warm_up_is_in_no_part() -> None:
    kept: list[Tensor] = []

    def lazily(x: Tensor) -> Tensor:
        if not kept:
            kept.extend(torch.ones(FLOATS) for _ in range(9))
        return x.neg()

    found = parts(standing_in(lazily, ONE))
    assert (found["workspace"], found["allocated"]) == (0, 2 * BYTES)


def test_the_resident_peak_is_that_of_the_call() -> None:
    def hump() -> Tensor:
        torch.ones(64 * MIB, dtype=torch.int8)
        return ONE.neg()

    peak, before = resident_bytes(hump)
    assert 62 * MIB <= peak - before < 80 * MIB  # the kernel counts in batches
    peak, before = resident_bytes(ONE.neg)
    assert peak - before < 8 * MIB


def test_where_the_system_does_not_tell_there_is_no_resident_peak(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="the system tells no resident peak"):
        resident_bytes(ONE.neg, tmp_path / "none")
    (tmp_path / "status").write_text("VmPeak:  7 kB\n")
    with pytest.raises(Unsupported, match="no VmRSS in"):
        resident_bytes(ONE.neg, tmp_path)
    assert (tmp_path / "clear_refs").read_text() == "5"


def test_what_is_not_finite_has_no_parts() -> None:
    with pytest.raises(NonFiniteError, match="the output has"):
        parts(standing_in(lambda x: x.div(0), ONE))


def test_meta_is_unsupported() -> None:
    with pytest.raises(Unsupported, match="predicted_peak_memory"):
        memory.measure(build(make(device="meta")), Protocol())


class FakeAllocator:
    """CUDA's: 1000 bytes live, a gradient of 500; steps peak at 700 above, the first at 9000.

    32 of the bytes that live are the case's: an input and a cotangent of 16.
    """

    def __init__(self, x: Tensor) -> None:
        self.x, self.top, self.emptied = x, 1000, False

    @property
    def live(self) -> int:
        return 1000 + (0 if self.x.grad is None else 500)

    def step(self, x: Tensor) -> Tensor:
        self.top = max(self.top, self.live + (700 if self.emptied else 9000))
        return x.neg()

    def reset(self, device: str) -> None:
        self.top = self.live

    def empty(self) -> None:
        self.emptied = True


def test_on_cuda_the_allocator_and_the_device_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.zeros(4, requires_grad=True)
    fake = FakeAllocator(x)
    fakes: dict[str, Any] = {
        "synchronize": lambda device: None,
        "memory_allocated": lambda device: fake.live,
        "max_memory_allocated": lambda device: fake.top,
        "max_memory_reserved": lambda device: fake.top + 24,
        "reset_peak_memory_stats": fake.reset,
        "empty_cache": fake.empty,
        "mem_get_info": lambda device: (300, 10_000),
    }
    for name, function in fakes.items():
        monkeypatch.setattr(torch.cuda, name, function)
    monkeypatch.setattr("softbench.workload._check_output", lambda output, case: None)
    workload = standing_in(
        fake.step, x, cotangent=torch.ones(4), device="cuda", mode="forward_backward"
    )
    found = parts(workload)
    assert (found["allocated"], found["reserved"], found["device"]) == (32 + 700, 1724, 9700)
    assert (found["workspace"], found["output"], found["saved"]) == (200, 16, 0)
    for part in ("allocated", "reserved"):
        told = memory.measure(workload, Protocol())[f"{part}_memory"]
        assert isinstance(told, Measurement)
        assert (told.detail["highest"], told.detail["foreign"]) == (1700, 1000 - 32)


def _few(name: str) -> dict[str, int]:
    """Fewer landmarks than tokens."""
    return {"num_landmarks": 49} if name.startswith("soft_") or name == "soft" else {}


def _peak(workload: Workload) -> int | float:
    return peak_memory.measure(workload, Protocol())["peak_memory"].values[0]


def _gradients(workload: Workload) -> int:
    workload.step()
    tensors = (*workload.inputs, *workload.module.parameters())
    return storage_bytes([one.grad for one in tensors if one.grad is not None])
