"""How much of a worker's life is spent measuring: the share of timed stretches and warm-up.

Run as `python results/validation/lifetime.py`; writes lifetime.md beside itself. A run of cells
whose median call exceeds 50 ms, latency alone, three fresh workers. A life lasts from the start of
the process to its end, the import of torch, the machine's rates and every prediction included.
Warm-up begins with a case's first call, which is looked at and profiled besides.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from softbench import records
from softbench.case import Record
from softbench.cli import main as softbench
from softbench.executors import local

SUITE = {
    "shape": {"batch_size": 1, "num_heads": 8, "head_dim": 64, "seq_len": [3136, 6400, 12544]},
    "attention": {"softmax": {"backend": ["eager", "sdpa"]}, "performer": {}},
    "mode": ["forward", "forward_backward"],
    "device": "cpu",
    "repeats": 3,
    "budget": {"case_seconds": 10, "suite_seconds": 560},
    "metrics": ["latency"],
}
LONG = 0.05
WANTED = 0.7


def measured(folder: Path) -> tuple[list[Record], list[tuple[float, float]]]:
    """The records of one run in `folder`, and when each worker was started and stopped."""
    lives: list[tuple[float, float]] = []
    start = local.start

    def watched(threads: int) -> local.LocalWorker:
        began = time.monotonic()
        worker = start(threads)
        stop = worker.stop

        def stopped() -> None:
            stop()
            lives.append((began, time.monotonic()))

        worker.stop = stopped  # type: ignore[method-assign]
        return worker

    suite = folder / "lifetime.yaml"
    suite.write_text(json.dumps(SUITE))
    local.start, sys.argv = watched, ["softbench", "run", str(suite), "--out", str(folder)]
    with contextlib.suppress(SystemExit):
        softbench()
    (file,) = folder.rglob(records.FILE)
    return records.read(file.parent), lives


def spent(taken: Sequence[Record]) -> tuple[float, float]:
    """Seconds in warm-up and in timed stretches."""
    warm_up = sum(record.detail["warmup_seconds"] for record in taken)
    return warm_up, sum(record.detail["timed_seconds"] for record in taken)


def table(taken: Sequence[Record], lives: Sequence[tuple[float, float]]) -> list[str]:
    """A row a worker, and one of all."""
    by_repeat = defaultdict(list)
    for record in taken:
        by_repeat[record.repeat].append(record)
    assert len(lives) == len(by_repeat), "a worker was lost on the way; run it again"
    seconds = [end - begin for begin, end in lives]
    rows = [_row(str(repeat + 1), by_repeat[repeat], life) for repeat, life in enumerate(seconds)]
    return [*rows, _row("all", taken, sum(seconds))]


def _row(name: str, taken: Sequence[Record], life: float) -> str:
    warm_up, timed = spent(taken)
    share = (warm_up + timed) / life
    return f"| {name} | {len(taken)} | {life:.1f} | {warm_up:.1f} | {timed:.1f} | {share:.1%} |"


def main() -> None:
    """Write the table; say so if the share is less than wanted."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        told, lives = measured(Path(folder))
    ok = [record for record in told if record.status == "ok"]
    long = [record for record in ok if median(record.values) > LONG]
    share = sum(spent(long)) / sum(end - begin for begin, end in lives)
    lines = [
        "# The share of a worker's life that is spent measuring",
        "",
        f"Of cells whose median call exceeds {LONG * 1e3:g} ms: softmax (eager, sdpa) and performer"
        f" at {SUITE['shape']['seq_len']} tokens, both modes, latency alone, one thread.",  # type: ignore[index]
        f"{len(long)} of {len(ok)} cells measured are such; {len(told) - len(ok)} were predicted "
        f"over the budget. Load when it began {load:.2f}.",
        "Made by `python results/validation/lifetime.py`.",
        "",
        "| Worker | Cells | Life (s) | Warm-up (s) | Timed (s) | Share |",
        "| :--- | ---: | ---: | ---: | ---: | ---: |",
        *table(long, lives),
        "",
        f"Wanted: at least {WANTED:.0%} of all. Reached: {share:.1%}.",
    ]
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(lines[-1])
    sys.exit(share < WANTED)


if __name__ == "__main__":
    main()
