"""Float32 or wider, whatever the outer precision: what kernels and inverses are computed in.

A kernel matrix is inverted at condition numbers of thousands, where bfloat16, float16 and TF32
hold no digit of the answer; squared distances cancel, and go negative there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


def widened(x: Tensor) -> Tensor:
    """`x` in float32 if it is narrower, else as it is."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Inside, matrix products on `device` keep their dtype: no autocast, no TF32.

    It holds for what runs inside; an autograd graph recorded here has its products rounded as the
    settings at the time of `backward` say (autocast does not reach there, TF32 may).
    """
    # A compiled graph has its products' precision fixed by the settings it was compiled under, and
    # would be broken in two by asking for them.
    compiling = torch.compiler.is_compiling()
    before = "highest" if compiling else torch.get_float32_matmul_precision()
    if before != "highest":
        torch.set_float32_matmul_precision("highest")
    try:
        # The meta device has no autocast, and none to switch off.
        with torch.autocast("cpu" if device.type == "meta" else device.type, enabled=False):
            yield
    finally:
        if before != "highest":
            torch.set_float32_matmul_precision(before)
