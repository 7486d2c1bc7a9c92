"""A cap holds while it is entered and not after, and says what was left when it was hit.

Mutants seen red: no limit set, the limit not lifted, lifted only without an error, one that moves
with what is taken, the fraction of CUDA not put back, its device named as the case names it, device
0 taken for plain "cuda", free and cap exchanged, errors that are no want of memory marked, the tree
of signs cut at each of its branches.
"""

from __future__ import annotations

import errno
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from softbench.worker import shortage
from softbench.worker.cap import Cap

PART = 2**24  # large: many of them are more than the C library keeps from earlier tests
linux = pytest.mark.skipif(sys.platform != "linux", reason="no such limit elsewhere")


def limits() -> tuple[int, int]:
    import resource

    return resource.getrlimit(resource.RLIMIT_DATA)


@linux
def test_what_goes_beyond_fails_and_says_what_was_left() -> None:
    before = limits()
    kept = []

    def take() -> None:
        kept.append(torch.empty(40 * PART, dtype=torch.int8))
        kept.append(torch.empty(128 * PART, dtype=torch.int8))

    with pytest.raises(RuntimeError, match="DefaultCPUAllocator") as failed, Cap("cpu", 96 * PART):
        take()
    told = failed.value.__dict__["detail"]
    assert told["cap"] == 96 * PART
    assert 40 * PART < told["free"] <= 56 * PART
    assert shortage.asked_bytes(failed.value) == 128 * PART
    assert limits() == before


@linux
def test_what_stays_below_is_left_alone_and_afterwards_all_is() -> None:
    before = limits()
    with Cap("cpu", 64 * PART):
        assert limits()[0] != before[0]
        torch.empty(32 * PART, dtype=torch.int8)
    assert limits() == before
    torch.empty(256 * PART, dtype=torch.int8)


@linux
def test_turns_have_one_ceiling_together() -> None:
    cap, kept = Cap("cpu", 64 * PART), []
    with cap:
        kept.append(torch.empty(48 * PART, dtype=torch.int8))
    with pytest.raises(RuntimeError, match="allocate"), cap:
        kept.append(torch.empty(48 * PART, dtype=torch.int8))
    kept.clear()
    with cap:
        kept.append(torch.empty(48 * PART, dtype=torch.int8))


@linux
def test_a_lower_limit_of_the_system_stays() -> None:
    import resource

    before = limits()
    try:
        resource.setrlimit(resource.RLIMIT_DATA, (2**45, before[1]))
        with Cap("cpu", 2.0**50):
            assert limits()[0] == 2**45
        assert limits()[0] == 2**45
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def test_an_error_of_another_kind_is_left_as_it_is() -> None:
    with pytest.raises(ValueError, match="five") as failed, Cap("cpu", 64 * PART):
        raise ValueError("five")
    assert not vars(failed.value)


def test_the_meta_device_has_no_cap() -> None:
    with pytest.raises(MemoryError) as failed, Cap("meta", float("inf")):
        raise MemoryError
    assert not vars(failed.value)
    if sys.platform == "linux":
        before = limits()
        with Cap("meta", float("inf")):
            assert limits() == before


class FakeCuda:
    """Devices of 1000 bytes, 100 taken; a fraction of 0.9 allowed before. Device 2 is current.

    What asks for the fraction is torch's own, down to its calls of the library, so that it refuses
    what torch refuses.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.taken = 100
        self.fractions: list[tuple[int, float]] = []
        fakes: dict[str, Any] = {
            "cuda.memory._lazy_init": lambda: None,
            "cuda.current_device": lambda: 2,
            "cuda.memory_allocated": lambda device: self.taken,
            "cuda.get_device_properties": lambda device: SimpleNamespace(total_memory=1000),
            "_C._cuda_getMemoryFraction": self.fraction,
            "_C._cuda_setMemoryFraction": lambda fraction, index: self.fractions.append(
                (index, fraction)
            ),
        }
        for name, fake in fakes.items():
            monkeypatch.setattr(f"torch.{name}", fake, raising=False)

    def fraction(self, index: int) -> float:
        return dict(self.fractions).get(index, 0.9)


@pytest.mark.parametrize(("device", "index"), [("cuda:1", 1), ("cuda:0", 0), ("cuda", 2)])
def test_on_cuda_the_allocator_holds_it(
    monkeypatch: pytest.MonkeyPatch, device: str, index: int
) -> None:
    fake = FakeCuda(monkeypatch)
    cap = Cap(device, 300.0)

    def take() -> None:
        fake.taken = 350
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 1 has")

    with pytest.raises(torch.OutOfMemoryError) as failed, cap:
        take()
    assert fake.fractions == [(index, 0.4), (index, 0.9)]
    assert failed.value.__dict__["detail"] == {"free": 50, "cap": 300}
    assert shortage.asked_bytes(failed.value) == 2.5 * 2**30


def test_the_stand_in_refuses_what_torch_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeCuda(monkeypatch)
    with pytest.raises(ValueError, match="specified index"):
        torch.cuda.get_per_process_memory_fraction("cuda")


def test_on_cuda_a_smaller_fraction_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeCuda(monkeypatch)
    with Cap("cuda", 5000.0):
        assert fake.fractions == [(2, 0.9)]


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("[enforce fail at x] DefaultCPUAllocator: not enough memory"), True),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("Resource temporarily unavailable"), True),
        (RuntimeError("could not create a primitive"), True),
        (RuntimeError("could not create a memory object"), True),
        (RuntimeError("could not create a primitive descriptor for a convolution"), False),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), True),
        (OSError(errno.ENOENT, "No such file"), False),
        (ValueError("DefaultCPUAllocator"), False),
        (RuntimeError("shapes do not match"), False),
    ],
)
def test_a_want_of_memory_is_told_from_other_errors(error: Exception, found: bool) -> None:
    assert shortage.is_shortage(error) == found


@pytest.mark.parametrize(
    ("message", "asked"),
    [
        ("you tried to allocate 1073741824 bytes. Error code 12", 2**30),
        ("Unable to allocate 1.50 TiB for an array with shape (1,)", 3 * 2**39),
        ("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has", 20 * 2**20),
        ("std::bad_alloc", None),
    ],
)
def test_the_bytes_asked_for_are_read(message: str, asked: int | None) -> None:
    assert shortage.asked_bytes(RuntimeError(message)) == asked


def test_it_is_said_in_words_and_binary_units() -> None:
    detail = {"asked": 6 * 2**28, "free": 429_496_730, "cap": 7 * 10**8}
    assert shortage.in_words(detail) == "asked for 1.5 GiB; 410 MiB of its 668 MiB were left"
    del detail["asked"]
    assert shortage.in_words(detail).startswith("ran out of memory; 410 MiB of")
    assert [shortage.size(n) for n in (0, 1, 1023, 1024, 2**61)] == [
        "0 bytes", "1 bytes", "1023 bytes", "1 KiB", "2 EiB",
    ]  # fmt: skip
