"""What bounds fused SOFT: its parts, each alone, over the time its products take at the GEMM rate.

Run as `python results/validation/floor.py [ROUNDS]`; writes floor.md beside itself. The floor: the
multiply-adds of distances and products (no norms, no iteration of the inverse, no recomputation)
at the rate of a large matrix product. One thread, float32, B = 1, H = 8, D = 64, M = 49; in every
round each part is timed once, in an order drawn anew, the large product among them.

products: the low-rank kernel, writing to memory that is mapped already; in a backward pass they
recompute the kernel, an eighteenth of three times six. pages: what it takes longer where its
outputs are new memory, which the system has to clear and map. inverse: the landmarks' kernel and
its iteration. landmarks: pooling, the first reading of the queries. rest: what the whole call takes
beyond these, below zero where they overlap in it.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from statistics import median
from unittest import mock

import torch
from torch import Tensor

from softbench.attention import _fused, soft
from softbench.case import Case, Mode, Shape
from softbench.kernels import landmark_inverse, low_rank, pooling
from softbench.metrics._roofline import gemm
from softbench.metrics.flops import closed_form, multiply_adds

ROUNDS = 40
LENGTHS = (784, 3136, 16384, 65536)
LIMIT, FROM = 1.5, 3136  # products over the floor, from that length on
GEMM_SIZE = 1024
PARTS = ("products", "pages", "inverse", "landmarks", "rest", "whole")
Calls = dict[str, Callable[[], object]]


@contextmanager
def mapped(tensors: list[Tensor]) -> Iterator[None]:
    """Inside, outputs of the low-rank kernel as long as the tokens are `tensors`, in turn."""
    turns = cycle(tensors)
    with mock.patch.object(low_rank, "made_like", lambda _: next(turns)):
        yield


def inputs(seq_len: int) -> list[Tensor]:
    """q, v and the cotangent, white noise."""
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(1, 8, seq_len, 64, generator=generator) for _ in range(3)]


def calls(seq_len: int, mode: Mode) -> Calls:
    """Every part by name; "on new pages" is the kernel again, its outputs new memory."""
    backward = mode == "forward_backward"
    ours = torch.ops.softbench
    params, grid = soft.Params(num_landmarks=49), Shape(seq_len=seq_len).grid
    q, v, cotangent = inputs(seq_len)
    windows = _fused.windows(seq_len, 49, grid)
    _, landmarks = pooling.with_queries(q, *windows)
    given = (landmarks, params.num_newton_iters, params.ridge)
    x = ours.landmark_inverse.default(*given)
    d_landmarks, dx, dq = torch.ones_like(landmarks), torch.ones_like(x), torch.zeros_like(q)
    places = [torch.zeros_like(q) for _ in range(3)]

    def products() -> None:
        out, sums, weights = ours.low_rank.default(q, landmarks, x, v)
        if backward:
            ours.low_rank_backward.default(cotangent, q, landmarks, x, v, sums, weights)
        del out

    def products_mapped() -> None:
        with mapped(places):
            products()

    def inverse() -> None:
        ours.landmark_inverse.default(*given)
        if backward:
            ours.landmark_inverse_backward.default(dx, landmarks, x)

    def pooled() -> None:
        pooling.with_queries(q, *windows)
        if backward:
            ours.add_pooled_gradient.default(dq, d_landmarks, *windows)

    def whole() -> None:
        leaves = (q.detach().requires_grad_(backward), v.detach().requires_grad_(backward))
        with torch.set_grad_enabled(backward):
            out = soft.BACKENDS["fused"](leaves[0], None, leaves[1], params=params, weights={}, grid=grid)
        if backward:
            torch.autograd.grad(out, leaves, cotangent)

    return {
        "gemm": gemm(GEMM_SIZE, "cpu", "float32"),
        "products": products_mapped,
        "on new pages": products,
        "inverse": inverse,
        "landmarks": pooled,
        "whole": whole,
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


def row(seq_len: int, mode: Mode, rounds: int) -> tuple[float, str]:
    """The products over their floor, and the row of the table."""
    taken = seconds(calls(seq_len, mode), rounds)
    floor, parts = over_floor(taken, floor_flops(seq_len, mode))
    cells = [f"{seq_len:,}", mode, f"{floor * 1e3:.3g}", *(f"{parts[name]:.2f}" for name in PARTS)]
    print(*cells, file=sys.stderr)
    return parts["products"], f"| {' | '.join(cells)} |"


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
    over = max(products for seq_len, products, _ in told if seq_len >= FROM)
    said = (
        f"{time.monotonic() - began:.0f} s; load {load:.2f} before, {os.getloadavg()[0]:.2f} after; "
        f"kernels built for {low_rank.build()}.\nFrom {FROM:,} tokens on the products take at most "
        f"{over:.2f} of the floor (limit {LIMIT})."
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
