"""The backends of a mechanism that has a fused path: `eager`, `fused` and `auto`.

`auto` is `fused` where that runs and `eager` elsewhere; records say which. `fused` itself never
falls back: where it cannot run it raises Unsupported.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from softbench.case import Shape, Unsupported

Attend = Callable[..., Tensor]
# Why `fused` does not run on tensors of a device, by the device's type; None if it does.
Refusal = Callable[[str], str | None]


def offered(eager: Attend, fused: Attend, refusal: Refusal) -> dict[str, Attend]:
    """What a mechanism offers, by name."""
    return {
        "eager": eager,
        "fused": fused,
        "auto": partial(_by_best, eager, fused, refusal),
    }


def ran(
    refusal: Refusal,
    shape: Shape,
    *,
    backend: str,
    device: str,
    dtype: torch.dtype,
    with_gradient: bool,
) -> str:
    """The backend that runs for `backend`. Raises Unsupported: `fused` where it cannot."""
    reason = None if backend == "eager" else refusal(torch.device(device).type)
    if backend == "auto":
        return "fused" if reason is None else "eager"
    if reason is not None:
        raise Unsupported(reason)
    return backend


def not_on_cpu(device: str) -> str | None:
    """The refusal of what is made for the CPU; tensors on meta stand for those on any device."""
    if device in ("cpu", "meta"):
        return None
    return f"backend fused runs on the CPU, not on {device}; take eager or auto"


def check_on_cpu(x: Tensor) -> None:
    """Raise Unsupported for tensors of which `not_on_cpu` has something to say."""
    reason = not_on_cpu(x.device.type)
    if reason is not None:
        raise Unsupported(reason)


def _by_best(
    eager: Attend, fused: Attend, refusal: Refusal, q_BHND: Tensor, *given: Any, **named: Any
) -> Tensor:
    best = eager if refusal(q_BHND.device.type) else fused
    return best(q_BHND, *given, **named)
