"""One convolution's workspace by itself, in the layouts that the mechanisms give it.

Mutants seen red: images whose channels come last copied like others, one copy of their weight for
two or four, bfloat16 without oneDNN, float64 with it, the columns of all groups at once, a gradient
of the weight alone taken for one of the input.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from metric_cases import standing_in
from torch import Tensor

from softbench.metrics import peak_memory
from softbench.metrics._liveness import LivenessTracker
from softbench.metrics._workspace import cpu_workspace
from softbench.protocol import Protocol
from softbench.workload import Workload

pytestmark = pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() not in ("AVX512", "AVX2"),
    reason="oneDNN's layouts were only read off CPUs with AVX-512 and AVX2",
)
HALF = "bfloat16" if torch.ops.mkldnn._is_mkldnn_bf16_supported() else "float32"
# What a mechanism's value convolution and its landmarks' are: image, filters, stride, padding.
DEPTH_WISE = {"image": (64, 8, 28, 28), "filters": (8, 1, 3, 3), "padding": 1, "groups": 8}
WIDE = {"image": (64, 8, 28, 28), "filters": (8, 1, 5, 5), "padding": 2, "groups": 8}
LANDMARKS = {"image": (8, 32, 56, 56), "filters": (32, 32, 4, 4), "stride": 4, "last": True}
SMALL = {"image": (2, 64, 28, 28), "filters": (64, 64, 2, 2), "stride": 2, "last": True}
PLAIN = {"image": (8, 32, 28, 28), "filters": (32, 32, 2, 2), "stride": 2}
EVERY = (DEPTH_WISE, WIDE, LANDMARKS, SMALL, PLAIN)
USUAL = {"stride": 1, "padding": 0, "groups": 1}


def convolution(
    device: str, dtype: str, image: Any, filters: Any, last: bool, backward: bool, **options: Any
) -> Workload:
    """One convolution of an image, or its gradients; channels come last in memory if `last`."""
    kind: dict[str, Any] = {"device": device, "dtype": getattr(torch, dtype)}
    batch, channels, rows, columns = image
    x = torch.zeros(batch, rows, columns, channels, **kind).permute(0, 3, 1, 2)
    x, weight = x if last else x.contiguous(), torch.zeros(filters, **kind)
    stride, padding, groups = (options.get(name, usual) for name, usual in USUAL.items())
    geometry = ([stride] * 2, [padding] * 2, [1, 1], False, [0, 0], groups)

    def forward(x: Tensor) -> Tensor:
        return torch.convolution(x, weight, None, *geometry)

    def gradients(gradient: Tensor) -> Tensor:
        wanted = [True, True, False]
        found: tuple[Tensor, ...] = torch.ops.aten.convolution_backward(
            gradient, x, weight, None, *geometry, wanted
        )
        return found[0]

    if not backward:
        return standing_in(forward, x, device=device, dtype=dtype)
    return standing_in(gradients, forward(x).contiguous(), device=device, dtype=dtype)


def predicted(dtype: str, **sizes: Any) -> int:
    workload = convolution("meta", dtype, **sizes)
    tracker = LivenessTracker(cpu_workspace)
    with tracker:
        output = workload.step()
    del output
    return tracker.peak


def measured(dtype: str, **sizes: Any) -> int | float:
    """The lower of two readings: what a library sets up once and for all is in the first alone."""
    workload = convolution("cpu", dtype, **sizes)
    readings = [peak_memory.measure(workload, Protocol())["peak_memory"] for _ in range(2)]
    return min(reading.values[0] for reading in readings)


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize(
    ("dtype", "sizes"),
    [
        *((dtype, sizes) for dtype in ("float32", "float64") for sizes in EVERY),
        *((HALF, sizes) for sizes in (DEPTH_WISE, WIDE)),
    ],
)
def test_a_convolution_by_itself_agrees(dtype: str, sizes: dict[str, Any], backward: bool) -> None:
    asked = {"last": False, **sizes, "backward": backward}
    assert predicted(dtype, **asked) == pytest.approx(measured(dtype, **asked), rel=0.04)
