"""The same FLOPs from three sources: closed form, dispatch count on meta tensors, fvcore.

Run as `python results/validation/flops.py`; writes flops.md beside itself and ends with 1 if any
two sources differ. fvcore counts forward only, and has no rule for PyTorch's fused attention: there
the table says so.
"""

from __future__ import annotations

import sys
from pathlib import Path

from softbench import plugins
from softbench.attention._solvers import solver
from softbench.case import Case, Shape
from softbench.contract.attention import case as make
from softbench.metrics import flops
from softbench.metrics._fvcore import BlindError, multiply_adds
from softbench.workload import build, params_of

SHAPE = Shape(batch_size=2, num_heads=2, seq_len=784, head_dim=32)
HEADER = "| Mechanism | Backend | Level | Mode | Closed form | Dispatch count | 2 × fvcore | |"


def by_fvcore(case: Case) -> int | None:
    """Twice fvcore's multiply-adds; None where it cannot tell."""
    params = params_of(case)
    workload = build(case)

    def solver_macs(m: int) -> int:
        return int(solver(params.inverse).flops(m, params.num_newton_iters) // 2)

    try:
        return 2 * multiply_adds(workload.module, workload.inputs, solver_macs)
    except BlindError:
        return None


def cases() -> list[Case]:
    """Every mechanism at every level, in every backend and mode, with its defaults there."""
    return [
        make(name, level=level, backend=backend, mode=mode, shape=SHAPE, dtype="float32")
        for name in plugins.names("attention")
        for backend in plugins.load("attention", name).BACKENDS
        for level in ("operator", "layer")
        for mode in ("forward", "forward_backward")
    ]


def row(case: Case) -> tuple[str, bool]:
    """One line of the table, and whether its sources agree."""
    formula = sum(flops.closed_form(case).values())
    counted = flops.dispatch_count(case).total
    can_run = case.mode == "forward" and case.backend != "efficient"  # which is CUDA's alone
    seen = by_fvcore(case) if can_run else None
    equal = len({formula, counted, *([] if seen is None else [seen])}) == 1
    told = "forward only" if case.mode != "forward" else "no rule"
    fvcore = told if seen is None else f"{seen:,}"
    cells = [case.attention, case.backend, case.level, case.mode.replace("_", " + ")]
    cells += [f"{formula:,}", f"{counted:,}", fvcore, "equal" if equal else "DIFFER"]
    return f"| {' | '.join(cells)} |", equal


def main() -> int:
    """Write the table; 1 if anything differs."""
    rows = [row(case) for case in cases()]
    text = (
        "# FLOPs from three sources\n\nB = 2, H = 2, N = 784, D = 32, each mechanism's defaults at "
        "its level. Two FLOPs a multiply-add.\nMade by `python results/validation/flops.py`.\n\n"
        f"{HEADER}\n| :--- | :--- | :--- | :--- | ---: | ---: | ---: | :--- |\n"
    )
    text += "\n".join(line for line, _ in rows) + "\n"
    Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")
    wrong = [line for line, equal in rows if not equal]
    print("\n".join(wrong) or f"{len(rows)} rows, all equal")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
