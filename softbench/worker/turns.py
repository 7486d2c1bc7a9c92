"""Cases that take turns: in every round each advances by one step, in an order drawn anew."""

from __future__ import annotations

import gc
import random
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from types import ModuleType

import torch

from softbench.case import Case, Measurement, content_hash
from softbench.protocol import Protocol
from softbench.worker.answers import Outcome
from softbench.worker.cap import capped
from softbench.workload import build

Enter = Callable[[str, str], None]


def interleaved(
    cases: Sequence[Case],
    name: str,
    module: ModuleType,
    protocol: Protocol,
    repeat: int,
    limit: float,
    enter: Enter,
) -> Iterator[tuple[Case, Outcome]]:
    """Each case with what the metric, a generator, found; no case may take more than `limit` bytes.

    What is drawn depends on the cases and the repeat alone.
    """
    order = random.Random(content_hash([[case.id for case in cases], repeat]))
    running: dict[str, Generator[None, None, dict[str, Measurement]]] = {}
    by_id = {case.id: case for case in cases}
    turns = list(by_id)
    while turns:
        order.shuffle(turns)
        for id in list(turns):
            enter(id, name)
            try:
                with capped(by_id[id].device, limit):
                    if id not in running:
                        running[id] = module.measure(build(by_id[id]), protocol)
                    next(running[id])
                continue
            except StopIteration as end:
                outcome: Outcome = end.value
            except Exception as error:
                outcome = without_tensors(error)
            turns.remove(id)
            running.pop(id, None)
            yield by_id[id], outcome


def without_tensors(error: Exception) -> Exception:
    """The error with its frames cleared: a traceback keeps tensors alive for the next case."""
    traceback.clear_frames(error.__traceback__)
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return error
