"""Attention that goes wrong on demand, in every way a case can; made for tests, no paper, 2000."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from softbench.attention import _counts
from softbench.case import Level, Mode, Shape, Value

RANK: str | None = None
Trouble = Literal[
    "none", "raises", "exits", "leaves", "killed", "crashes", "prints", "memory", "allocator",
    "loops", "holds", "interrupts", "nan", "wrong_count", "unsupported", "sleeps", "no_products",
    "hoards", "terminates", "begets",
]  # fmt: skip


class Params(Value):
    """Which way it goes."""

    trouble: Trouble = Field(default="none", description="what happens in a call")


def attend(
    q_BHND: Tensor,
    k_BHND: Tensor | None,
    v_BHND: Tensor,
    *,
    params: Params,
    weights: Mapping[str, Tensor],
    grid: tuple[int, int] | None,
) -> Tensor:
    """[B, H, N, D], if it gets there; on the meta device, where costs are told, it does."""
    assert k_BHND is not None
    if q_BHND.device.type != "meta":
        _go_wrong(params.trouble)
    if params.trouble == "no_products":
        return q_BHND * k_BHND + v_BHND
    return q_BHND @ (k_BHND.mT @ v_BHND)


BACKENDS: dict[str, Callable[..., Tensor]] = {"eager": attend}


def weights(shape: Shape, params: Params, generator: torch.Generator) -> dict[str, Tensor]:
    """None."""
    return {}


def supports(shape: Shape, params: Params) -> str | None:
    """Everything but "unsupported"."""
    return "it was asked not to" if params.trouble == "unsupported" else None


def flops(
    shape: Shape, params: Params, *, level: Level, backend: str, mode: Mode
) -> dict[str, int]:
    """Two products, none, or a lie."""
    if params.trouble == "no_products":
        return {}
    product = 2 * shape.batch_size * shape.num_heads * shape.seq_len * shape.head_dim**2
    return {"products": 2 * _counts.passes(mode) * product + (params.trouble == "wrong_count")}


class Attention(nn.Module):
    """Nothing at layer level."""


def _go_wrong(trouble: Trouble) -> None:
    if trouble == "raises":
        raise ValueError("two and two\nmake five")
    if trouble == "memory":
        raise MemoryError("no memory for 7 bytes")
    if trouble == "interrupts":
        raise KeyboardInterrupt
    if trouble == "exits":
        sys.exit("enough of this")
    if trouble == "leaves":
        os._exit(7)
    if trouble in ("killed", "crashes"):
        os.kill(os.getpid(), signal.SIGKILL if trouble == "killed" else signal.SIGSEGV)
    _go_on(trouble)


def _go_on(trouble: Trouble) -> None:
    if trouble == "prints":
        print('{"event": "done"}\n\0garbage', flush=True)
        os.write(1, b'{"event": "measured", "half": ')
        os.system("echo a child prints too")
    if trouble in ("allocator", "hoards", "terminates"):
        _ask_for_too_much(trouble)
    while trouble == "loops":
        pass
    if trouble == "begets":
        subprocess.Popen(["sleep", "600"])
    if trouble in ("holds", "begets"):
        ctypes.PyDLL(None).sleep(600)  # unlike CDLL, it keeps the interpreter's lock
    if trouble == "sleeps":
        time.sleep(0.05)


def _ask_for_too_much(trouble: Trouble) -> None:
    if trouble == "allocator":
        torch.empty(2**61, dtype=torch.int8)
    if trouble == "terminates":  # nobody catches what C++ throws through C
        ctypes.CDLL("libstdc++.so.6")._Znwm(ctypes.c_size_t(2**46))
    hoard = [torch.empty(2**24, dtype=torch.int8)]
    while trouble == "hoards":
        hoard.append(torch.empty(2**24, dtype=torch.int8))
