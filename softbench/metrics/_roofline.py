"""What this machine can do at most: matrix products, bytes through memory, exponentials.

The roofline of Williams, Waterman and Patterson (2009), with a third roof for the exponential,
which attention puts through a unit of its own. Each rate is that of a kernel of torch's, so a
kernel that does the same better may read above 1.
gemm: a square product in the case's dtype.
stream: a = b + s·c in float32 through buffers that together are larger than the last-level cache,
a piece at a time. Two reads and one write are counted, as STREAM counts (McCalpin, 1995): the read
that a write brings with it (write-allocate) is not, here as in `compulsory_bytes`. What stays in a
cache between two calls can be faster than this.
exponential: e^x over a buffer that stays in the L2, in the case's dtype.
A rate is of the machine and not of its load. So a timed call takes about a millisecond on a CPU,
less than the turn that a scheduler gives a process among others, and the rate is that of the median
of the fast half: the best would be luck, and the median of all what neighbours leave over.
The CUDA path has not run on a GPU yet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from statistics import median
from time import perf_counter

import torch
from torch import Tensor

GEMM_SECONDS, STREAM_SECONDS, EXPONENTIAL_SECONDS = 0.3, 0.2, 0.1
FEWEST = 4  # timed calls, however slow they are
# A product of this many seconds is large: what a call costs besides computing no longer shows.
LARGE_SECONDS = 1e-3
GEMM_SIZES = {"cpu": (128, 256, 512, 1024), "cuda": (1024, 2048, 4096, 8192)}
EXPONENTIAL_BYTES = {"cpu": 2**18, "cuda": 2**24}
BEYOND_CACHE = 1.5  # the buffers of `stream` together, in last-level caches
LEAST_STREAM_BYTES = {"cpu": 2**27, "cuda": 2**30}
PIECE = {"cpu": 2**18, "cuda": 2**26}  # float32 numbers that one call of `stream` takes of each
CACHES = Path("/sys/devices/system/cpu/cpu0/cache")


@dataclass(frozen=True)
class Rates:
    """The most that was reached: gemm in FLOP/s, stream in byte/s, exponential in 1/s."""

    gemm: float
    stream: float
    exponential: float


def measure_rates(device: str, dtype: str) -> Rates:
    """The rates of `device` for a `dtype`, in about a second, at the threads that torch has now.

    Not of the meta device, where nothing runs.
    """
    return Rates(
        gemm=gemm_rate(device, dtype),
        stream=stream_rate(device),
        exponential=exponential_rate(device, dtype),
    )


def least_seconds(
    work_flops: int, compulsory_bytes: int, exponentials: int, rates: Rates
) -> tuple[float, str]:
    """The longest of the three least times that the work can take, and which of them it is."""
    times = {
        "gemm": work_flops / rates.gemm,
        "stream": compulsory_bytes / rates.stream,
        "exponential": exponentials / rates.exponential,
    }
    bound = max(times, key=times.__getitem__)
    return times[bound], bound


def gemm_rate(device: str, dtype: str) -> float:
    """FLOP/s of a square product, of the first size that is large and else of the largest."""
    for size in GEMM_SIZES[_kind(device)]:
        product = gemm(size, device, dtype)
        product()
        if _seconds(product, device) >= LARGE_SECONDS:
            break
    return 2 * float(size) ** 3 / fast_seconds(product, device, GEMM_SECONDS)


def gemm(size: int, device: str, dtype: str) -> Callable[[], Tensor]:
    """A product of two drawn matrices of that size; zeros would run faster than data."""
    generator = torch.Generator().manual_seed(0)
    one, other = (
        torch.randn(size, size, generator=generator).to(device, getattr(torch, dtype))
        for _ in range(2)
    )
    return lambda: one @ other


def stream_rate(device: str) -> float:
    """Byte/s of a = b + s·c through memory, two reads and a write counted."""
    piece = PIECE[_kind(device)]
    pieces = -(-stream_bytes(device) // (3 * 4 * piece))
    buffers = [torch.full((pieces, piece), 0.5, device=device) for _ in range(3)]
    turns = cycle(zip(*(list(buffer) for buffer in buffers), strict=True))

    def call() -> None:
        a, b, c = next(turns)
        torch.add(b, c, alpha=3.0, out=a)

    return 3 * 4 * piece / fast_seconds(call, device, STREAM_SECONDS)


def exponential_rate(device: str, dtype: str) -> float:
    """Exponentials a second over a buffer that stays in the L2."""
    kind: torch.dtype = getattr(torch, dtype)
    count = EXPONENTIAL_BYTES[_kind(device)] // kind.itemsize
    x = torch.randn(count, generator=torch.Generator().manual_seed(0)).to(device, kind)
    result = torch.empty_like(x)
    return count / fast_seconds(lambda: torch.exp(x, out=result), device, EXPONENTIAL_SECONDS)


def stream_bytes(device: str, caches: Path = CACHES) -> int:
    """Of the three buffers together: beyond the last-level cache, as far as the system tells it."""
    if _kind(device) == "cuda":
        cache = torch.cuda.get_device_properties(device).L2_cache_size
    else:
        cache = last_level_cache(caches)
    return max(LEAST_STREAM_BYTES[_kind(device)], int(BEYOND_CACHE * cache))


def last_level_cache(caches: Path = CACHES) -> int:
    """Bytes of the largest cache of the first core on Linux; 0 where the system does not tell."""
    told = [file.read_text().strip() for file in caches.glob("index*/size")]
    return max((int(size[:-1]) * 2**10 for size in told if size.endswith("K")), default=0)


def fast_seconds(call: Callable[[], object], device: str, budget: float) -> float:
    """Seconds of one call after a warm one: the median of the fast half within `budget`."""
    _seconds(call, device)
    times: list[float] = []
    while len(times) < FEWEST or sum(times) < budget:
        times.append(_seconds(call, device))
    return median(sorted(times)[: max(1, len(times) // 2)])


def _seconds(call: Callable[[], object], device: str) -> float:
    _wait(device)
    start = perf_counter()
    call()
    _wait(device)
    return perf_counter() - start


def _wait(device: str) -> None:
    if _kind(device) == "cuda":
        torch.cuda.synchronize(device)


def _kind(device: str) -> str:
    return device.partition(":")[0]
