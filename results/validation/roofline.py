"""The measured roofs: does the GEMM itself read 100 %, do the rates repeat, who reaches what.

Run as `python results/validation/roofline.py [ROUNDS]`; writes roofline.md beside itself. In every
round the rates are measured as a worker measures them, and the GEMM is then timed as if it were a
case: the same product as a workload, by latency's own clock, warm-up and stop rule. A reading is
the FLOP/s by that median over the rate of the round. What the mechanisms reach comes from one short
run of suites' seq_len at one length.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn

from softbench import records
from softbench.case import Case, Dtype, Record, Shape
from softbench.metrics import latency
from softbench.metrics._roofline import Rates, measure_rates
from softbench.protocol import Protocol
from softbench.workload import Workload

ROUNDS = 20
DTYPES: tuple[Dtype, ...] = ("float32", "float64", "bfloat16")
SEQ_LEN = 3136
SIZE = 512
SUITE = {
    "shape": {"batch_size": 1, "num_heads": 8, "head_dim": 64, "seq_len": SEQ_LEN},
    "attention": {
        "softmax": {"backend": ["eager", "sdpa"]},
        "soft": {"num_landmarks": 49, "inverse": "newton", "num_newton_iters": 20},
        "soft_norm": {"num_landmarks": 49},
        "linformer": {"projection_length": 49},
        "performer": {},
        "nystromformer": {"num_landmarks": 49},
    },
    "mode": ["forward", "forward_backward"],
    "device": "cpu",
    "repeats": 1,
    "metrics": ["latency"],
}
WITHIN = (0.95, 1.05)


class Product(nn.Module):
    """The GEMM as a module."""

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        """Their product."""
        return one @ other


def gemm_case(dtype: Dtype) -> Workload:
    """The rate's own product as a workload; of its case only what a clock looks at is true."""
    case = Case(
        level="operator", attention="softmax", params={}, backend="eager",
        shape=Shape(seq_len=SIZE), inputs="normal", dtype=dtype, device="cpu",
        mode="forward", compile=False, seed=0,
    )  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    one, other = (
        torch.randn(SIZE, SIZE, generator=generator).to(getattr(torch, dtype)) for _ in range(2)
    )
    return Workload(case, Product(), (one, other), None)


def seconds(workload: Workload) -> float:
    """The median latency of a workload, taken as a worker takes it."""
    measuring = latency.measure(workload, Protocol())
    while True:
        try:
            next(measuring)
        except StopIteration as end:
            return float(median(end.value["latency"].values))


def readings(dtype: Dtype, rounds: int) -> tuple[list[float], list[Rates]]:
    """The GEMM's own reading and the rates, round by round."""
    workload = gemm_case(dtype)
    read, rates = [], []
    for number in range(rounds):
        rates.append(measure_rates("cpu", dtype))
        read.append(2 * SIZE**3 / seconds(workload) / rates[-1].gemm)
        print(f"{dtype}: round {number + 1} of {rounds}: {read[-1]:.1%}", file=sys.stderr)
    return read, rates


def mechanisms() -> list[Record]:
    """Latency of every mechanism at one length, by a run of its own."""
    with tempfile.TemporaryDirectory() as folder:
        suite = Path(folder) / "roofline.yaml"
        suite.write_text(json.dumps(SUITE))
        command = [str(Path(sys.executable).with_name("softbench")), "run", str(suite)]
        subprocess.run([*command, "--out", folder], check=True, stdout=subprocess.DEVNULL)
        (file,) = Path(folder).rglob(records.FILE)
        return [record for record in records.read(file.parent) if record.status == "ok"]


def row(dtype: str, read: list[float], rates: list[Rates]) -> str:
    """How the GEMM reads for one dtype, and how the three rates repeat."""
    inside = sum(WITHIN[0] <= reading <= WITHIN[1] for reading in read)
    cells = [dtype, f"{median(read):.1%}", f"{min(read):.1%} to {max(read):.1%}"]
    cells.append(f"{inside} of {len(read)}")
    for name, unit in (("gemm", 1e9), ("stream", 1e9), ("exponential", 1e9)):
        values = sorted(getattr(rate, name) / unit for rate in rates)
        cells.append(f"{median(values):.4g} ({values[0]:.4g} to {values[-1]:.4g})")
    return f"| {' | '.join(cells)} |"


def reached(record: Record) -> str:
    """What one mechanism reached."""
    roof, case = record.detail["roofline"], record.case
    cells = [case.attention, case.backend, case.mode, f"{median(record.values) * 1e3:.4g}"]
    cells += [f"{roof['least_seconds'] * 1e3:.4g}", roof["bound"], f"{roof['fraction']:.1%}"]
    cells.append(f"{roof['gemm_fraction']:.1%}")
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Write the tables; fail if the median reading of a dtype is outside."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    torch.set_num_threads(1)
    load = os.getloadavg()[0]
    found = {dtype: readings(dtype, rounds) for dtype in DTYPES}
    lines = [
        "# The measured roofs",
        "",
        f"One thread, {rounds} rounds, a product of {SIZE} × {SIZE}. Load {load:.2f} before, "
        f"{os.getloadavg()[0]:.2f} after.",
        "Made by `python results/validation/roofline.py`.",
        "",
        "| dtype | GEMM reads, median | from to | in 95–105 % | GEMM (GFLOP/s) | stream (GB/s) "
        "| exponential (10⁹/s) |",
        "| :--- | ---: | ---: | ---: | ---: | ---: | ---: |",
        *(row(dtype, read, rates) for dtype, (read, rates) in found.items()),
        "",
        f"## What the mechanisms reach at {SEQ_LEN:,} tokens, float32",
        "",
        "| Mechanism | Backend | Mode | Latency (ms) | Least (ms) | Bound | Fraction of the bound "
        "| of the GEMM rate |",
        "| :--- | :--- | :--- | ---: | ---: | :--- | ---: | ---: |",
        *map(reached, mechanisms()),
    ]
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    medians = {dtype: median(read) for dtype, (read, _) in found.items()}
    print(", ".join(f"{dtype} {reading:.1%}" for dtype, reading in medians.items()))
    sys.exit(not all(WITHIN[0] <= reading <= WITHIN[1] for reading in medians.values()))


if __name__ == "__main__":
    main()
