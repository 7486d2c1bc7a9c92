"""A worker made ready to measure: number of threads fixed, numerics set, plug-ins loaded."""

from __future__ import annotations

import os
from pathlib import Path

from softbench import plugins
from softbench.protocol import Protocol


def prepare(protocol: Protocol, plugin_files: list[list[str]]) -> None:
    """Fix the number of threads and load the plug-in files, if they are what the driver saw."""
    # Else the profiler, once used, slows every kernel's launch for good. Kineto reads it then.
    os.environ.setdefault("TEARDOWN_CUPTI", "1")
    import torch

    torch.set_num_threads(protocol.threads)
    torch.set_num_interop_threads(1)
    torch.set_float32_matmul_precision(protocol.float32_matmul)
    torch.backends.cudnn.allow_tf32 = protocol.tf32
    for path, expected in plugin_files:
        if plugins.file_hash(Path(path)) != expected:
            raise RuntimeError(f"--plugin {path} changed since this run started")
        plugins.adopt(Path(path))
