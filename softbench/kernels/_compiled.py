"""The compiled kernels of this machine: found, loaded and called.

They are built when softbench is installed, once for each instruction set, where there is a C++
compiler; the best that the processor has is loaded. `ATEN_CPU_CAPABILITY` holds them to a lower one
as it does PyTorch's own.
"""

from __future__ import annotations

import ctypes
import sysconfig
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from softbench.kernels import _sources

# What PyTorch calls the processor, and the builds that run on it, the best first.
BUILDS = {"AVX512": ("avx512", "avx2", "plain"), "AVX2": ("avx2", "plain")}
# What computes in memory that the caller hands over.
WITH_SCRATCH = (
    *("forward", "backward", "inverse", "inverse_gradient"),
    *("soft", "soft_alone", "soft_gradient"),
)
DTYPES = {torch.float32: "float32", torch.float64: "float64"}


class Operand(ctypes.Structure):
    """A tensor [batch, heads, rows, D] by its strides in numbers, the last being 1."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("batch", ctypes.c_ssize_t),
        ("head", ctypes.c_ssize_t),
        ("row", ctypes.c_ssize_t),
    )


class Sizes(ctypes.Structure):
    """The sizes of one call; queries are multiplied by `scale`."""

    _fields_ = (
        ("batch", ctypes.c_int64),
        ("heads", ctypes.c_int64),
        ("tokens", ctypes.c_int64),
        ("landmarks", ctypes.c_int64),
        ("width", ctypes.c_int64),
        ("threads", ctypes.c_int64),
        ("scale", ctypes.c_double),
    )


class Side(ctypes.Structure):
    """Where the windows of one side of a grid begin and end."""

    _fields_ = (
        ("count", ctypes.c_int64),
        ("begin", ctypes.POINTER(ctypes.c_int64)),
        ("end", ctypes.POINTER(ctypes.c_int64)),
    )


class Windows(ctypes.Structure):
    """The windows of a grid with so many tokens in a row."""

    _fields_ = (("rows", Side), ("columns", Side), ("width", ctypes.c_int64))


def build() -> str | None:
    """The build that this processor takes ("avx512", "avx2", "plain"); None if none was built."""
    return FOUND


def call(name: str, dtype: torch.dtype, *arguments: Any) -> None:
    """Call the function of that name and dtype."""
    getattr(_library(), f"{name}_{DTYPES[dtype]}")(*arguments)


def lanes(dtype: torch.dtype) -> int:
    """Numbers in a vector."""
    answer: int = getattr(_library(), f"lanes_{DTYPES[dtype]}")()
    return answer


def scratch_size(name: str, dtype: torch.dtype, sizes: Sizes) -> int:
    """Numbers that all threads of a call of that name compute in, beyond what they return."""
    answer: int = getattr(_library(), f"{name}_scratch_{DTYPES[dtype]}")(ctypes.byref(sizes))
    return answer


def scratch(name: str, x: Tensor, sizes: Sizes) -> Tensor:
    """Those numbers, for tensors like `x`: PyTorch's memory, seen by whoever measures memory."""
    return x.new_empty(scratch_size(name, x.dtype, sizes))


def sizes_of(shape: Sequence[int], landmarks: int, scale: float) -> Sizes:
    """The sizes of a call for tokens [B, H, N, D], in as many threads as PyTorch takes."""
    threads = min(torch.get_num_threads(), shape[0] * shape[1])
    return Sizes(*shape[:3], landmarks, shape[3], threads, scale)


def operands(tensors: Sequence[Tensor]) -> Any:
    """The tensors as the kernels take them."""
    given = [Operand(tensor.data_ptr(), *tensor.stride()[:3]) for tensor in tensors]
    return (Operand * len(given))(*given)


def windows(rows: Sequence[int], columns: Sequence[int], width: int) -> Windows:
    """Windows from begins and ends one after the other, by rows and by columns."""
    return Windows(_side(rows), _side(columns), width)


def _side(edges: Sequence[int]) -> Side:
    count = len(edges) // 2
    array = ctypes.c_int64 * count
    return Side(count, array(*edges[:count]), array(*edges[count:]))


@cache
def _library() -> ctypes.CDLL:
    name = build()
    path = _file(name) if name else None
    if path is None:
        raise RuntimeError("no compiled kernel here; install softbench where a C++ compiler is")
    library = ctypes.CDLL(str(path))
    _check_sources(library)
    for dtype in DTYPES.values():
        for count in ("lanes", *(f"{kernel}_scratch" for kernel in WITH_SCRATCH)):
            getattr(library, f"{count}_{dtype}").restype = ctypes.c_int64
        for kernel in ("pooled", "pooled_gradient", *WITH_SCRATCH):
            getattr(library, f"{kernel}_{dtype}").restype = None
    return library


def _check_sources(library: ctypes.CDLL) -> None:
    """RuntimeError: the library was not compiled of the sources that lie here."""
    compiled, here = "unknown", _sources.digest()
    if hasattr(library, "sources"):
        library.sources.restype = ctypes.c_char_p
        compiled = library.sources().decode()
    if here not in (None, compiled):
        raise RuntimeError(
            f"the compiled kernels are of sources {compiled}, and {here} lie here; install again: "
            "make setup, or pip install -e ."
        )


def _file(build: str) -> Path | None:
    """The shared library of a build; None if it was not built."""
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    path = Path(__file__).with_name(f"_low_rank_{build}{suffix}")
    return path if path.exists() else None


# Constants, for a graph that is compiled can neither ask the processor nor look for files.
RUNNING = BUILDS.get(torch.backends.cpu.get_cpu_capability(), ("plain",))
FOUND = next((one for one in RUNNING if _file(one)), None)
