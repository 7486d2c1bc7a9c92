"""Images a second, as raw values: the batch over the seconds of a call, one value a stretch.

The clock, warm-up and stretches are those of `latency`, in a pass of their own: a suite that asks
for both measures twice. What is counted is elements of the batch, called images whatever they are:
sequences of tokens at level model, and the batch of heads or of [N, C] at the others.
In forward_backward it is the throughput of a training step without its optimiser.
CUDA: as latency, a cold L2 and device time. That path has not run on a GPU yet.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

from softbench.case import Measurement
from softbench.metrics import latency
from softbench.protocol import Protocol
from softbench.workload import Workload

QUANTITIES = {"throughput": ("image/s", "higher")}
REPEATED = True


def measure(
    workload: Workload, protocol: Protocol
) -> Generator[None, None, dict[str, Measurement]]:
    """Images per second, a value per stretch; yields where another case may run in between.

    Raises Unsupported on the meta device, where nothing runs; NonFiniteError for NaN.
    """
    timed = (yield from latency.measure(workload, protocol))["latency"]
    batch_size = workload.case.shape.batch_size
    return {"throughput": replace(timed, values=[batch_size / s for s in timed.values])}
