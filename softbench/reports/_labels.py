"""Names for people: a series is called by its mechanism and by what tells it from the others."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from softbench.reports._points import Series

DISPLAY = {
    "softmax": "softmax",
    "soft": "SOFT",
    "soft_norm": "SOFT++",
    "linformer": "Linformer",
    "performer": "Performer",
    "nystromformer": "Nyströmformer",
}
QUANTITY = {
    "latency": "Latency",
    "throughput": "Throughput",
    "peak_memory": "Peak memory",
    "predicted_peak_memory": "Predicted peak memory",
    "flops": "FLOPs",
    "macs": "MACs",
    "macs_with_newton": "MACs with Newton",
    "parameters": "Parameters",
    "accuracy": "Test accuracy",
    "training_time": "Training time",
    "training_cpu_time": "Training time (CPU)",
    "step_peak_memory": "Memory of a training step",
    "approximation_error": "Approximation error",
    "approximation_error_max": "Largest approximation error",
    "softmax_error": "Error against softmax",
    "inverse_residual": "Inverse residual",
    "inverse_error": "Inverse error",
}
SOLVER = {
    "newton": "Newton (the paper's)",
    "newton_spd": "Newton from I/‖A‖₁",
    "hyperpower": "hyperpower",
    "spectral_newton": "spectral form of Newton",
    "cholesky": "Cholesky (direct)",
    "svd": "SVD (direct)",
}
# What the numbers of a mechanism mean only with this said beside them.
ASIDE = {
    "linformer": "Linformer's projections are random, untrained.",
    "performer": "Performer's features are one random draw.",
}
MODE = {"forward": "forward", "forward_backward": "forward + backward"}
STATUS = {
    "ok": "measured",
    "skipped": "skipped",
    "out_of_memory": "out of memory",
    "timeout": "timed out",
    "unsupported": "not supported",
    "error": "failed",
}
PARAM = {
    "num_landmarks": "M = {}",
    "projection_length": "k = {}",
    "num_features": "R = {}",
    "num_newton_iters": "{} iters",
    "num_pinv_iters": "{} iters",
    "conv_kernel_size": "{0}×{0} conv",
}


def quantity_name(quantity: str) -> str:
    """How a quantity is written in a title or a column."""
    return QUANTITY.get(quantity, quantity.replace("_", " ").capitalize())


def order(one: Series) -> tuple[object, ...]:
    """A sorting key: the core six in their usual order, then others by name; numbers by size."""
    usual = list(DISPLAY)
    place = usual.index(one.attention) if one.attention in usual else len(usual)
    return place, one.attention, one.backend, _sizes(one.params), one


def _sizes(params: str) -> list[tuple[str, float, str]]:
    pairs = sorted(json.loads(params).items())
    return [(k, v if isinstance(v, int | float) else math.inf, str(v)) for k, v in pairs]


def labels(series: Sequence[Series]) -> dict[Series, str]:
    """A short and different name for each of `series`."""
    alike: dict[str, list[Series]] = defaultdict(list)
    for one in series:
        alike[one.attention].append(one)
    return {one: _label(one, alike[one.attention]) for one in series}


def solver_labels(series: Sequence[Series]) -> dict[Series, str]:
    """As `labels`, but called by solver; by the mechanism where it has no choice of solvers."""
    alike: dict[tuple[str, str], list[Series]] = defaultdict(list)
    for one in series:
        alike[one.attention, solver(one)].append(one)
    several = len({attention for attention, inverse in alike if inverse}) > 1
    return {
        one: _solver_label(one, siblings, several)
        for siblings in alike.values()
        for one in siblings
    }


def solver(one: Series) -> str:
    """The solver that a series names among its parameters; empty if it names none."""
    return str(json.loads(one.params).get("inverse", ""))


def _solver_label(one: Series, siblings: Sequence[Series], several: bool) -> str:
    name, rest = _label(one, siblings), solver(one)
    if not rest:
        return name
    mechanism = DISPLAY.get(one.attention, one.attention)
    told = SOLVER.get(rest, rest) + name.removeprefix(mechanism)
    return f"{mechanism}: {told}" if several else told


def _label(one: Series, siblings: Sequence[Series]) -> str:
    name = DISPLAY.get(one.attention, one.attention)
    # Unfused softmax is a straw man and the fused one is not: the name says which it is.
    if one.attention == "softmax" or len({sibling.backend for sibling in siblings}) > 1:
        name += f" ({one.backend})"
    return ", ".join([name, *_params(one, siblings), *_rest(one, siblings)])


def _params(one: Series, siblings: Sequence[Series]) -> list[str]:
    own = json.loads(one.params)
    everyone = [json.loads(sibling.params) for sibling in siblings]
    names = sorted({name for params in everyone for name in params}, key=_rank_first)
    differing = [name for name in names if len({str(p.get(name)) for p in everyone}) > 1]
    return [_param(name, own[name]) for name in differing if name in own]


def _rank_first(name: str) -> tuple[int, str]:
    order = list(PARAM)
    return (order.index(name) if name in order else len(order), name)


def _param(name: str, value: Any) -> str:
    words = name.replace("_", " ")
    if isinstance(value, bool):
        return words if value else f"no {words}"
    if isinstance(value, str):
        return f"{value} {words}"
    return PARAM[name].format(value) if name in PARAM else f"{words} = {value}"


def _rest(one: Series, siblings: Sequence[Series]) -> list[str]:
    parts = []
    if len({sibling.compile for sibling in siblings}) > 1:
        parts.append("compiled" if one.compile else "not compiled")
    if len({sibling.seed for sibling in siblings}) > 1:
        parts.append(f"seed {one.seed}")
    if one.layout:
        parts.append(one.layout)
    return parts
