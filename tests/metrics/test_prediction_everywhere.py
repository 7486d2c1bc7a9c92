"""Predicted peak memory for every mechanism, backend, mode and level, against the allocator.

Mutants seen red: a convolution's columns, its blocks, the copy of what does not lie contiguous, the
pass over the weight's gradient or the copies of its weight left out; no truth values in the math
backend; bfloat16 without oneDNN; a prediction that takes as long as the tokens are many.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any

import pytest
import torch
from metric_cases import make

from softbench import plugins
from softbench.case import Case, Shape
from softbench.metrics import peak_memory
from softbench.metrics.predicted_peak_memory import predict
from softbench.protocol import Protocol
from softbench.workload import build

MECHANISMS = ("softmax", "soft", "soft_norm", "linformer", "performer", "nystromformer")
CONVOLUTIONS = [
    ("soft", {"conv_kernel_size": 3}),
    ("soft", {"conv_kernel_size": 5, "landmarks": "pool"}),
    ("soft", {"conv_kernel_size": 0}),
    ("nystromformer", {"conv_kernel_size": 33}),
    ("nystromformer", {"conv_kernel_size": 65}),
]
MODES, LEVELS = ("forward", "forward_backward"), ("operator", "layer")
known_layouts = pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() not in ("AVX512", "AVX2"),
    reason="oneDNN's layouts were only read off CPUs with AVX-512 and AVX2",
)


def every(on: str) -> list[tuple[str, str]]:
    """Each mechanism with each of its backends that `on` has."""
    return [
        (name, backend)
        for name in MECHANISMS
        for backend in plugins.load("attention", name).BACKENDS
        if on != "cpu" or backend != "efficient"
    ]


def measured(case: Case) -> int | float:
    (value,) = peak_memory.measure(build(case), Protocol())["peak_memory"].values
    return value


@known_layouts
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("name", "backend"), every("cpu"))
def test_float32_agrees_within_a_percent(name: str, backend: str, level: str, mode: str) -> None:
    case = make(name, backend=backend, level=level, mode=mode)
    assert predict(case) == pytest.approx(measured(case), rel=0.01)


@known_layouts
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("name", "params"), CONVOLUTIONS)
def test_convolutions_agree_within_a_percent(
    name: str, params: dict[str, Any], mode: str, dtype: str
) -> None:
    case = make(name, level="layer", mode=mode, dtype=dtype, params=params)
    assert predict(case) == pytest.approx(measured(case), rel=0.01)


@known_layouts
@pytest.mark.skipif(
    not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="oneDNN has no bfloat16 here"
)
@pytest.mark.parametrize("mode", MODES)
def test_bfloat16_convolutions_agree_within_five_percent(mode: str) -> None:
    """Their products are packed besides, which is not predicted."""
    case = make("soft", level="layer", mode=mode, dtype="bfloat16", seq_len=784)
    assert predict(case) == pytest.approx(measured(case), rel=0.05)


@known_layouts
@pytest.mark.parametrize("num_heads", [1, 2, 17])
def test_heads_that_do_not_fill_a_block_of_channels_agree_too(num_heads: int) -> None:
    if num_heads == 1 and torch.backends.cpu.get_cpu_capability() == "AVX2":
        pytest.skip("with AVX2 an image of one channel takes scratch that is not known")
    shape = Shape(seq_len=400, num_heads=num_heads, head_dim=32)
    for mode in MODES:
        case = make("nystromformer", level="layer", mode=mode, shape=shape)
        assert predict(case) == pytest.approx(measured(case), rel=0.01)


def test_a_million_tokens_take_under_two_seconds_a_cell() -> None:
    predict(make(mode="forward_backward"))  # the process's first meta operators import for seconds
    for name, backend in every("meta"):
        for level in LEVELS:
            for mode in MODES:
                case = long(name, backend=backend, level=level, mode=mode)
                assert timed(case)[1] < 2, case.label
    for backend in plugins.load("attention", "softmax").BACKENDS:
        assert timed(long("softmax", backend=backend, device="cuda"))[1] < 2


@pytest.mark.parametrize("name", MECHANISMS)
def test_beyond_a_million_tokens_it_goes_on_as_it_did(name: str) -> None:
    million, _ = timed(long(name))
    four_million, seconds = timed(long(name, seq_len=1 << 22))
    assert four_million == pytest.approx((16 if name == "softmax" else 4) * million, rel=0.01)
    assert seconds < 2


def long(name: str, *, seq_len: int = 1 << 20, **fields: Any) -> Case:
    """A case of so many tokens; landmarks that any grid has."""
    params = {"landmarks": "pool"} if name in ("soft", "soft_norm") else {}
    return make(name, params=params, seq_len=seq_len, **fields)


def timed(case: Case) -> tuple[int, float]:
    """What is predicted, and the seconds that it took."""
    start = perf_counter()
    return predict(case), perf_counter() - start
