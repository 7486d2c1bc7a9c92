"""The threads and the precision that a worker measures with; made for tests."""

from __future__ import annotations

import torch

from softbench.case import Measurement
from softbench.protocol import Protocol
from softbench.workload import Workload

QUANTITIES = {
    "threads": ("1", "lower"),
    "threads_between": ("1", "lower"),
    "tf32_products": ("1", "lower"),
    "tf32_convolutions": ("1", "lower"),
}
REPEATED = False


def measure(workload: Workload, protocol: Protocol) -> dict[str, Measurement]:
    """What torch says of itself where a case is measured."""
    found = {
        "threads": torch.get_num_threads(),
        "threads_between": torch.get_num_interop_threads(),
        "tf32_products": int(torch.get_float32_matmul_precision() != "highest"),
        "tf32_convolutions": int(torch.backends.cudnn.allow_tf32),
    }
    return {name: Measurement([value]) for name, value in found.items()}
