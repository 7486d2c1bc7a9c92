"""Cases that take turns: in every round each advances by one step, in an order drawn anew.

Between two turns the sentinel is read, where it is time for it; times that were taken while it
drifted carry a tag.
"""

from __future__ import annotations

import gc
import random
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from types import ModuleType

import torch

from softbench.case import Case, Measurement, content_hash
from softbench.metrics._sentinel import Sentinel
from softbench.protocol import Protocol
from softbench.worker.answers import Outcome
from softbench.worker.cap import Cap
from softbench.workload import build

Enter = Callable[[str, str], None]


def interleaved(
    cases: Sequence[Case],
    name: str,
    module: ModuleType,
    protocol: Protocol,
    repeat: int,
    cap: Cap,
    enter: Enter,
    sentinel: Sentinel,
) -> Iterator[tuple[Case, Outcome]]:
    """Each case with what the metric, a generator, found; together they stay below `cap`.

    What is drawn depends on the cases and the repeat alone.
    """
    order = random.Random(content_hash([[case.id for case in cases], repeat]))
    by_id = {case.id: case for case in cases}
    steps = {case.id: _steps(case, module, protocol) for case in cases}
    began: dict[str, int] = {}  # the sentinel's reading before a case's first turn
    units = {quantity: unit for quantity, (unit, _) in module.QUANTITIES.items()}
    while steps:
        for id in order.sample(list(steps), len(steps)):
            sentinel.look()
            began.setdefault(id, sentinel.last())
            enter(id, name)
            try:
                with cap:
                    next(steps[id])
                continue
            except StopIteration as end:
                outcome: Outcome = sentinel.witnessed(end.value, units, began[id])
            except Exception as error:
                outcome = without_tensors(error)
            del steps[id]
            yield by_id[id], outcome


def _steps(
    case: Case, module: ModuleType, protocol: Protocol
) -> Generator[None, None, dict[str, Measurement]]:
    """What the metric does with the case, which is built at the first step and not before."""
    found: dict[str, Measurement] = yield from module.measure(build(case), protocol)
    return found


def without_tensors(error: Exception) -> Exception:
    """The error with its frames cleared: a traceback keeps tensors alive for the next case."""
    traceback.clear_frames(error.__traceback__)
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return error
