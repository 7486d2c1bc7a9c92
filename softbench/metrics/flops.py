"""FLOPs and multiply-adds of one step, by closed form and by dispatch count, which must agree.

`flops` counts 2 per multiply-add of every product and convolution that the backend executes,
recomputation included (hardware work; `detail` has the model's work without it).
`macs` is half of the terms that vision papers count: without norms by matrix products, without the
iterative solver (as the SOFT paper publishes it) and without recomputation.
`macs_with_newton` adds the solver's multiply-adds to `macs`.
The backward is counted as dispatched, never as a multiple of the forward.
"""

from __future__ import annotations

from collections.abc import Mapping

from softbench import plugins
from softbench.case import Case, Measurement
from softbench.metrics._dispatch import DispatchCounter
from softbench.metrics._meta import meta_workload
from softbench.protocol import Protocol
from softbench.workload import Workload, model, params_of, resolved

QUANTITIES = {
    "flops": ("FLOP", "lower"),
    "macs": ("MAC", "lower"),
    "macs_with_newton": ("MAC", "lower"),
}
REPEATED = False


class CountsDifferError(ArithmeticError):
    """The closed form, of a mechanism or a model, and the dispatch count are not one number."""


def measure(workload: Workload, protocol: Protocol) -> dict[str, Measurement]:
    """The three counts, exact integers. Raises CountsDifferError and UnknownOperatorError."""
    case = workload.case
    terms = closed_form(case)
    counter = dispatch_count(case)
    total = sum(terms.values())
    if counter.total != total:
        raise CountsDifferError(
            f"{case.label} ({case.level}): the closed form says {total} FLOPs {terms}, "
            f"the dispatch count {counter.total} {dict(counter.by_operator)}"
        )
    detail = {
        "terms": dict(terms),
        "model_flops": total - terms.get("recomputation", 0),
        "by_operator": dict(counter.by_operator),
    }
    macs = multiply_adds(terms)
    with_newton = macs + terms.get("solver", 0) // 2
    counts = {"flops": total, "macs": macs, "macs_with_newton": with_newton}
    return {name: Measurement([count], detail) for name, count in counts.items()}


def closed_form(case: Case) -> dict[str, int]:
    """FLOPs of one step by term, as the mechanism or, at its level, the model says them."""
    case = resolved(case)
    if case.level == "model":
        return model.flops(case)
    mechanism = plugins.load("attention", case.attention)
    terms: dict[str, int] = mechanism.flops(
        case.shape, params_of(case), level=case.level, backend=case.backend, mode=case.mode
    )
    return terms


def dispatch_count(case: Case) -> DispatchCounter:
    """One step of the case's meta twin under the counter; no tensor has any values."""
    workload = meta_workload(case)
    counter = DispatchCounter()
    with counter:
        workload.step()
    return counter


def multiply_adds(terms: Mapping[str, int]) -> int:
    """Half of all terms but norms, solver and recomputation."""
    left_out = ("norms", "solver", "recomputation")
    return sum(count for name, count in terms.items() if name not in left_out) // 2
