"""The compiled kernels of this machine: found, loaded and called.

They are built when softbench is installed, once for each instruction set, where there is a C++
compiler; the best that the processor has is loaded. `ATEN_CPU_CAPABILITY` holds them to a lower one
as it does PyTorch's own.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

# What PyTorch calls the processor, and the builds that run on it, the best first.
BUILDS = {"AVX512": ("avx512", "avx2", "plain"), "AVX2": ("avx2", "plain")}
# Bytes of a vector, and how many of them a tile has tokens for: as lanes.hpp has them.
VECTORS = {"avx512": (64, 3), "avx2": (32, 2), "plain": (16, 2)}
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


def lanes_and_tile(dtype: torch.dtype) -> tuple[int, int]:
    """Numbers in a vector and tokens in a tile; of the processor's best build where none is."""
    size, vectors = VECTORS[build() or RUNNING[0]]
    lanes = size // dtype.itemsize
    return lanes, vectors * lanes


def build() -> str | None:
    """The build that this processor takes ("avx512", "avx2", "plain"); None if none was built."""
    return FOUND


def call(name: str, dtype: torch.dtype, *arguments: Any) -> None:
    """Call the function of that name and dtype. MemoryError: it found no memory to work in."""
    if not getattr(_library(), f"{name}_{DTYPES[dtype]}")(*arguments):
        raise MemoryError(f"{name}: no memory for what a thread of it needs")


def number(name: str, dtype: torch.dtype, *arguments: Any) -> int:
    """What a function that counts answers."""
    answer: int = getattr(_library(), f"{name}_{DTYPES[dtype]}")(*arguments)
    return answer


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
    for dtype in DTYPES.values():
        for count in ("kernel_size", "lanes"):
            getattr(library, f"{count}_{dtype}").restype = ctypes.c_int64
        for kernel in (
            "forward",
            "backward",
            "pooled",
            "pooled_gradient",
            "inverse",
            "inverse_gradient",
            "soft",
            "soft_gradient",
        ):
            getattr(library, f"{kernel}_{dtype}").restype = ctypes.c_bool
    return library


def _file(build: str) -> Path | None:
    """The shared library of a build; None if it was not built."""
    return next(iter(sorted(Path(__file__).parent.glob(f"_low_rank_{build}.*so"))), None)


# Constants, for a graph that is compiled can neither ask the processor nor look for files.
RUNNING = BUILDS.get(torch.backends.cpu.get_cpu_capability(), ("plain",))
FOUND = next((one for one in RUNNING if _file(one)), None)
