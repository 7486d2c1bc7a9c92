"""Workers measure with the protocol's threads and in full float32, whatever they were started with.

Threads are told twice, by the executor's environment and by the worker itself, which is therefore
looked at alone too. Mutants seen red: each of the four settings left out of the worker, TF32 set to
what is right today and not to what the protocol says, the profiler's tools left in place.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from softbench import records
from softbench.protocol import Protocol

HERE = Path(__file__).parent
SUITE = """
shape: {num_heads: 1, head_dim: 8, seq_len: 16}
attention: {softmax: {}}
device: cpu
metrics: [policy]
repeats: 1
"""
# Left alone, torch would take these for its threads and lower the precision of its products.
OTHERWISE = {"OMP_NUM_THREADS": "2", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "1"}


ALONE = """
import os
import torch
from softbench.protocol import Protocol
from softbench.worker.preparing import prepare
allowed = torch.backends.cudnn.allow_tf32
print(torch.get_num_threads(), torch.get_float32_matmul_precision(), allowed)
prepare(Protocol(threads=1), [])
print(torch.get_num_threads(), torch.get_num_interop_threads())
print(torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32)
print(os.environ["TEARDOWN_CUPTI"])
torch.set_num_interop_threads = lambda threads: None  # it may be called once
prepare(Protocol.model_construct(tf32=True, float32_matmul="high"), [])
print(torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32)
"""


def test_a_worker_sets_what_the_protocol_says_whoever_started_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ALONE],
        capture_output=True,
        text=True,
        env={**os.environ, **OTHERWISE},
    )
    expected = ["2 high True", "1 1", "highest False", "1", "high True"]
    assert done.stdout.splitlines() == expected, done.stderr


@pytest.mark.slow
def test_a_worker_sets_its_threads_and_its_precision(tmp_path: Path) -> None:
    (tmp_path / "bench.yaml").write_text(SUITE)
    program = "from softbench.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "run", "bench.yaml", "--plugin", str(HERE / "policy.py")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, **OTHERWISE},
    )
    assert done.returncode == 0, done.stderr
    (file,) = tmp_path.rglob(records.FILE)
    found = {record.metric: record.values for record in records.read(file.parent)}
    assert found == {
        "threads": [Protocol().threads],
        "threads_between": [1],
        "tf32_products": [0],
        "tf32_convolutions": [0],
    }
