"""Where numbers end: queries too far for any float, NaN of any kind, kernels below the least float.

Each build in a process of its own. Mutants seen red: powers below the least normal number kept, a
NaN's payload let into the exponent.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from softbench.kernels import low_rank

pytestmark = pytest.mark.skipif(not low_rank.is_built(), reason="no C++ compiler built the kernels")
PROGRAM = """if True:
    import torch
    torch.set_num_threads(1)
    from softbench.kernels import low_rank
    landmarks, inverse = torch.zeros(1, 1, 4, 16), torch.eye(4).expand(1, 1, 4, 4).contiguous()
    def result(q_0, dtype):
        q, v = torch.zeros(1, 1, 100, 16, dtype=dtype), torch.ones(1, 1, 100, 16, dtype=dtype)
        q[0, 0, 70, 0] = q_0
        return low_rank.low_rank(q, landmarks.to(dtype), inverse.to(dtype), v)[0, 0]
    for dtype, bits, far in (
        (torch.float32, torch.int32, (26.5, 27.0, 28.0, 29.0, 40.0, 1e20)),
        (torch.float64, torch.int64, (75.4, 76.0, 77.0, 90.0, 1e200)),
    ):
        for q_0 in far:  # the kernel is exp(-q_0² / 8), the least normal number at 26.43 and 75.28
            out = result(q_0, dtype)
            assert out.isfinite().all(), (dtype, q_0)
            assert (out[70] == 0).all(), (dtype, q_0, out[70, 0])
            assert (out[:70] == 396).all(), (dtype, q_0)
        payload = torch.tensor([float("nan")], dtype=dtype).view(bits).bitwise_or(1).view(dtype)
        for nan in (float("nan"), payload.item(), payload[0]):
            assert result(nan, dtype).isnan().all(), (dtype, nan)
"""


@pytest.mark.parametrize("capability", [None, "avx2", "default"])
def test_ends_are_treated_alike_in_every_build(capability: str | None) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if capability:
        environment["ATEN_CPU_CAPABILITY"] = capability
    subprocess.run(
        [sys.executable, "-c", PROGRAM], check=True, env=environment,
        cwd=Path(low_rank.__file__).parents[2],
    )  # fmt: skip
