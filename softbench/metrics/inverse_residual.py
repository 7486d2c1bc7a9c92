"""How well a mechanism inverts its landmark matrix: by the paper's metric, and in truth.

With R the matrix that is inverted (for SOFT the landmark kernel with its ridge) and X what the
mechanism takes for its inverse, one value for each (batch element, head):

- `inverse_residual` is `‖R X R - R‖/‖R‖`, the convergence that the SOFT paper shows (Lu et al.,
  NeurIPS 2021, arXiv 2110.11945, Figure 4b). An eigenvalue w of R that X misses altogether adds
  only w to it: it cannot see small eigenvalues, which are most of an inverse. For SOFT's iteration
  it is after k steps at most `0.61/√(3.6 · 2^k) · ‖A‖₁/‖R‖` in the 2-norm, 3·10⁻⁴ at k = 20,
  whatever the condition number; up to √M times that in the Frobenius norm.
- `inverse_error` is `‖X - R⁻¹‖/‖R⁻¹‖`, with R⁻¹ in float64.

Norms are Frobenius; `detail` has both in the 2-norm too, and the condition numbers. Both are of
the very R the mechanism held in its own precision: how R was rounded on the way is not in them.
A mechanism that inverts something says so by `landmark_inverse(q, k, params, weights, grid)`,
which returns R and X, [B, H, M, M] each; R as it is inverted, ridge included.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import torch
from torch import Tensor

from softbench import plugins
from softbench.case import Case, Measurement, Unsupported
from softbench.metrics._finite import refuse_non_finite
from softbench.metrics._heads import mechanism_at_operator_level
from softbench.protocol import Protocol
from softbench.workload import Workload, params_of

QUANTITIES = {"inverse_residual": ("1", "lower"), "inverse_error": ("1", "lower")}
REPEATED = False
# Above it the reference in float64 has fewer than three digits itself.
WORST_CONDITION = 1e12

Found = dict[str, Measurement | Unsupported]


def work(case: Case) -> int:
    """FLOPs besides the case's own call: an inverse and three decompositions of M × M matrices."""
    if case.level != "operator":
        return 0  # it is refused
    rank = getattr(plugins.load("attention", case.attention), "RANK", None)
    m = int(getattr(params_of(case), rank)) if rank else 0
    return 100 * case.shape.batch_size * case.shape.num_heads * m**3


def measure(workload: Workload, protocol: Protocol) -> Found:
    """Both, a value a matrix. Raises Unsupported where nothing is inverted.

    NonFiniteError: an entry is NaN or infinite; ValueError: two shapes, or one that is not square.
    """
    mechanism = mechanism_at_operator_level(workload.case)
    r_BHMM, x_BHMM = _inversion(mechanism, workload)
    if r_BHMM.shape != x_BHMM.shape or r_BHMM.shape[-1] != r_BHMM.shape[-2]:
        raise ValueError(f"a matrix {tuple(r_BHMM.shape)} and an inverse {tuple(x_BHMM.shape)}")
    refuse_non_finite("the landmark matrix", r_BHMM)
    refuse_non_finite("its inverse", x_BHMM)
    r_BHMM, x_BHMM = r_BHMM.double(), x_BHMM.double()
    with _one_thread():
        conditions_BH = torch.linalg.cond(r_BHMM)
        detail = {"condition_numbers": conditions_BH.flatten().tolist()}
        residual = _relative(r_BHMM @ x_BHMM @ r_BHMM - r_BHMM, r_BHMM, detail)
        return {"inverse_residual": residual, "inverse_error": _error(r_BHMM, x_BHMM, detail)}


@contextmanager
def _one_thread() -> Iterator[None]:
    """On two threads the LU of MKL (torch 2.11) may spin for ever from 196 rows on."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _inversion(mechanism: ModuleType, workload: Workload) -> tuple[Tensor, Tensor]:
    case, module = workload.case, workload.module
    if not hasattr(mechanism, "landmark_inverse"):
        raise Unsupported(f"{case.attention} inverts no landmark matrix")
    q_BHND, *others = (tensor.detach() for tensor in workload.inputs)
    weights = dict(module.named_parameters()) | dict(module.named_buffers())
    k_BHND = others[0] if len(others) == 2 else None
    with torch.no_grad():
        r_BHMM, x_BHMM = mechanism.landmark_inverse(
            q_BHND, k_BHND, params_of(case), weights, case.shape.grid
        )
    return r_BHMM, x_BHMM


def _error(r_BHMM: Tensor, x_BHMM: Tensor, detail: dict[str, object]) -> Measurement | Unsupported:
    worst = max(detail["condition_numbers"])  # type: ignore[call-overload]
    if not worst <= WORST_CONDITION:
        return Unsupported(
            f"the condition number reaches {worst:.2g}; above {WORST_CONDITION:.0e} float64 "
            "has no inverse to compare with"
        )
    inverse_BHMM = torch.linalg.inv(r_BHMM)
    return _relative(x_BHMM - inverse_BHMM, inverse_BHMM, detail)


def _relative(
    difference_BHMM: Tensor, wanted_BHMM: Tensor, detail: dict[str, object]
) -> Measurement:
    """The Frobenius norms' ratio of each matrix; that of the 2-norms goes into the detail."""
    frobenius_BH, two_BH = (
        torch.linalg.matrix_norm(difference_BHMM, kind)
        / torch.linalg.matrix_norm(wanted_BHMM, kind)
        for kind in ("fro", 2)
    )
    return Measurement(
        frobenius_BH.flatten().tolist(), detail | {"two_norm": two_BH.flatten().tolist()}
    )
