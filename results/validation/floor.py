"""What bounds fused SOFT: its parts, each alone, over the time its products take at the GEMM rate.

Run as `python results/validation/floor.py [ROUNDS]`; writes floor.md beside itself. The floor: the
multiply-adds of distances and products (no norms, no iteration of the inverse, no recomputation)
at the rate of a large matrix product. One thread, float32, B = 1, H = 8, D = 64, M = 49; in every
round each part is timed once, in an order drawn anew, the large product among them.

products: the low-rank kernel, writing to memory that is mapped already; a backward pass recomputes
distances, a ninth of the floor more. pages: what it takes longer where its outputs are given by
the system, which has to clear and map what is new; below zero where they are still in a cache from
the call before. inverse: the landmarks' kernel and its iteration. landmarks: pooling, the first
reading of the queries. rest: what the whole call takes beyond these, below zero where they overlap.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from unittest import mock

import torch
from torch import Tensor

from softbench.attention import _fused, soft
from softbench.case import Case, Mode, Shape
from softbench.kernels import _layout, low_rank, pooling
from softbench.metrics._roofline import gemm
from softbench.metrics.flops import closed_form, multiply_adds

ROUNDS = 40
LENGTHS = (784, 3136, 16384, 65536)
LIMIT, FROM = 1.5, 3136  # products over the floor, from that length on
GEMM_SIZE = 1024
PARTS = ("products", "pages", "inverse", "landmarks", "rest", "whole")
OURS = torch.ops.softbench
Calls = dict[str, Callable[[], object]]


class Parts:
    """The parts of one length, each a call; `backward`: with their gradients."""

    def __init__(self, seq_len: int, *, backward: bool) -> None:
        generator = torch.Generator().manual_seed(0)
        self.backward = backward
        self.q, self.v, self.cotangent = (
            torch.randn(1, 8, seq_len, 64, generator=generator) for _ in range(3)
        )
        self.params, self.grid = soft.Params(num_landmarks=49), Shape(seq_len=seq_len).grid
        self.windows = _fused.windows(seq_len, 49, self.grid)
        self.landmarks = pooling.with_queries(self.q, *self.windows)[1]
        self.steps = (self.params.num_newton_iters, self.params.ridge)
        self.x = OURS.landmark_inverse.default(self.landmarks, *self.steps)
        self.dl, self.dx = torch.ones_like(self.landmarks), torch.ones_like(self.x)
        self.dq = torch.zeros_like(self.q)
        self.free: list[Tensor] = []
        self.mapped = [torch.zeros_like(self.q) for _ in range(3)]

    def on_new_pages(self) -> None:
        """The low-rank kernel."""
        given = (self.q, self.landmarks, self.x, self.v)
        out, sums, weights = OURS.low_rank.default(*given)
        if self.backward:
            OURS.low_rank_backward.default(self.cotangent, *given, sums, weights)
        del out

    def products(self) -> None:
        """The same, outputs as long as the tokens put where memory is mapped already."""
        self.free = list(self.mapped)
        self.on_new_pages()
        self.free = []

    def made_like(self, x: Tensor) -> Tensor:
        """What the kernel's operators take their outputs from: mapped memory while there is any."""
        return self.free.pop() if self.free else _layout.made_like(x)

    def inverse(self) -> None:
        """The landmarks' kernel and X."""
        OURS.landmark_inverse.default(self.landmarks, *self.steps)
        if self.backward:
            OURS.landmark_inverse_backward.default(self.dx, self.landmarks, self.x)

    def pooled(self) -> None:
        """The landmarks."""
        pooling.with_queries(self.q, *self.windows)
        if self.backward:
            OURS.add_pooled_gradient.default(self.dq, self.dl, *self.windows)

    def whole(self) -> None:
        """SOFT by its backend fused."""
        q, v = (x.detach().requires_grad_(self.backward) for x in (self.q, self.v))
        given = {"params": self.params, "weights": {}, "grid": self.grid}
        with torch.set_grad_enabled(self.backward):
            out = soft.BACKENDS["fused"](q, None, v, **given)
        if self.backward:
            torch.autograd.grad(out, (q, v), self.cotangent)

    def calls(self) -> Calls:
        """Every part by name, and the large product."""
        return {
            "gemm": gemm(GEMM_SIZE, "cpu", "float32"),
            "products": self.products,
            "on new pages": self.on_new_pages,
            "inverse": self.inverse,
            "landmarks": self.pooled,
            "whole": self.whole,
        }


def floor_flops(seq_len: int, mode: Mode) -> int:
    """Two for every multiply-add of distances and products."""
    case = Case(
        level="operator", attention="soft", params={"num_landmarks": 49}, backend="fused",
        shape=Shape(seq_len=seq_len), inputs="normal", dtype="float32", device="cpu",
        mode=mode, compile=False, seed=0,
    )  # fmt: skip
    return 2 * multiply_adds(closed_form(case))


def seconds(named: Calls, rounds: int) -> dict[str, float]:
    """The median seconds of each, interleaved."""
    order, names = random.Random(0), list(named)
    taken: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds + 1):
        for name in order.sample(names, len(names)):
            start = time.perf_counter()
            named[name]()
            if number:  # the first round warms up
                taken[name].append(time.perf_counter() - start)
    return {name: median(times) for name, times in taken.items()}


def over_floor(taken: dict[str, float], flops: int) -> tuple[float, dict[str, float]]:
    """Seconds of the floor, and every part in floors."""
    floor = flops * taken["gemm"] / (2 * GEMM_SIZE**3)
    parts = {name: taken[name] for name in ("products", "inverse", "landmarks", "whole")}
    parts["pages"] = taken["on new pages"] - taken["products"]
    parts["rest"] = 2 * parts["whole"] - sum(parts.values())
    return floor, {name: parts[name] / floor for name in PARTS}


def row(seq_len: int, mode: Mode, rounds: int) -> tuple[tuple[float, float], str]:
    """Products and the whole call over the floor, and the row of the table."""
    parts = Parts(seq_len, backward=mode == "forward_backward")
    with mock.patch.object(low_rank, "made_like", parts.made_like):
        taken = seconds(parts.calls(), rounds)
    floor, over = over_floor(taken, floor_flops(seq_len, mode))
    cells = [f"{seq_len:,}", mode, f"{floor * 1e3:.3g}", *(f"{over[name]:.2f}" for name in PARTS)]
    print(*cells, file=sys.stderr)
    return (over["products"], over["whole"]), f"| {' | '.join(cells)} |"


def main() -> None:
    """Write the table; end with 1 if the products are further over the floor than they may be."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    torch.set_num_threads(1)
    began, load = time.monotonic(), os.getloadavg()[0]
    modes: tuple[Mode, ...] = ("forward", "forward_backward")
    told = [
        (seq_len, *row(seq_len, mode, max(8, rounds * 784 // seq_len + rounds // 4)))
        for mode in modes
        for seq_len in LENGTHS
    ]
    over, whole = (
        max(one[which] for seq_len, one, _ in told if seq_len >= FROM) for which in (0, 1)
    )
    said = (
        f"{time.monotonic() - began:.0f} s; load {load:.2f} before, {os.getloadavg()[0]:.2f} "
        f"after; kernels built for {low_rank.build()}.\nFrom {FROM:,} tokens on the products "
        f"take at most {over:.2f} of the floor (limit {LIMIT}), the whole {whole:.2f}."
    )
    lines = [
        "# What bounds fused SOFT",
        "",
        "The floor: the multiply-adds of distances and products at the rate of a large product,",
        "timed beside. Every part in floors. Made by `python results/validation/floor.py`, whose",
        "first lines say what each part is.",
        "",
        said,
        "",
        f"| N | Mode | Floor (ms) | {' | '.join(name.capitalize() for name in PARTS)} |",
        f"| ---: | :--- | ---: |{' ---: |' * len(PARTS)}",
        *(line for _, _, line in told),
    ]
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(said)
    sys.exit(over > LIMIT)


if __name__ == "__main__":
    main()
