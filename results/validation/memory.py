"""Peak memory measured and predicted, cell by cell, and how both grow with the tokens.

Run as `python results/validation/memory.py results/reference/seq_len/ENVIRONMENT`; writes memory.md
beside itself. Measured: allocator events of the records there. Predicted: storages followed on meta
tensors, which has seen none of the measurements. `growth` is the factor by which a number rose
from the length before, to be held against the factor of the tokens.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path
from statistics import median

import torch

from softbench import records
from softbench.case import Case
from softbench.metrics.predicted_peak_memory import predict

HEADER = (
    "| Mechanism | Backend | Mode | N | Tokens × | Measured (MiB) | growth | Predicted (MiB) "
    "| growth | Predicted / measured |\n"
    "| :--- | :--- | :--- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
)


def measured(folder: Path) -> dict[tuple[str, str, str], list[tuple[Case, float | None]]]:
    """Cases of each line with the median of their peaks, by length; None where none was taken."""
    values: dict[str, list[float]] = defaultdict(list)
    cases: dict[str, Case] = {}
    for record in records.latest(records.read(folder)):
        if record.metric == "peak_memory":
            cases[record.case.id] = record.case
            values[record.case.id] += record.values
    lines = defaultdict(list)
    for case in sorted(cases.values(), key=lambda case: case.shape.seq_len):
        taken = values[case.id]
        peak = median(taken) if taken else None
        lines[case.attention, case.backend, case.mode].append((case, peak))
    return lines


def rows(name: tuple[str, str, str], line: list[tuple[Case, float | None]]) -> list[str]:
    """The table's rows of one mechanism, backend and mode."""
    told = []
    before: tuple[int, float | None, float] | None = None
    for case, peak in line:
        tokens, predicted = case.shape.seq_len, float(predict(case))
        growth = ["", "", ""]
        if before:
            growth = [_factor(tokens, before[0]), _factor(peak, before[1]), ""]
            growth[2] = _factor(predicted, before[2])
        ratio = "not measured" if peak is None else f"{predicted / peak:.4f}"
        cells = [*name, f"{tokens:,}", growth[0], _mib(peak), growth[1], _mib(predicted)]
        told.append(f"| {' | '.join([*cells, growth[2], ratio])} |")
        before = (tokens, peak, predicted)
    return told


def _factor(now: float | None, before: float | None) -> str:
    return "" if now is None or before is None else f"{now / before:.2f}"


def _mib(size: float | None) -> str:
    return "–" if size is None else f"{size / 2**20:,.2f}"


def main() -> None:
    """Write the table."""
    torch.set_num_threads(1)  # as the worker had: some kernels' workspace is per thread
    lines = measured(Path(sys.argv[1]))
    text = (
        "# Peak memory, measured and predicted\n\nOf one call above its inputs; float32, B = 1, "
        "H = 8, D = 64, one thread.\nMade by `python results/validation/memory.py "
        "results/reference/seq_len/ENVIRONMENT`.\n\n"
    )
    body = "\n".join(row for name, line in sorted(lines.items()) for row in rows(name, line))
    Path(__file__).with_suffix(".md").write_text(text + HEADER + body + "\n", encoding="utf-8")
    ratios = [
        predict(case) / peak for line in lines.values() for case, peak in line if peak is not None
    ]
    print(f"{len(ratios)} cells, predicted / measured {min(ratios):.4f} to {max(ratios):.4f}")


if __name__ == "__main__":
    main()
