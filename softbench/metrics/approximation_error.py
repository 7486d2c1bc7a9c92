"""How far a mechanism's output lies from the dense attention that it stands for, and from softmax.

`approximation_error` is the relative Frobenius distance to the mechanism's own `exact`,
`‖out - exact‖/‖exact‖` over all batch elements and heads; `approximation_error_max` the largest
entry of the difference over the largest entry of `exact`, both in absolute value. `softmax_error`
is the relative Frobenius distance to softmax attention on the same queries, keys and values (the
keys are the queries where a mechanism shares them): what it would change to put the mechanism in
softmax's place. SOFT, say, tends to another matrix, so it can be near its own limit and far from
softmax.

References are computed in float64 from the case's own inputs, as they are in its dtype. The value
convolution is no part of what `exact` names and is left out; so are projections, hence operator
level alone. On N(0, 1) inputs of 64 channels no low rank can be near (take `inputs: smooth`), and
projections that nobody trained say nothing about trained ones.
A mechanism without `exact` has `softmax_error` alone.
"""

from __future__ import annotations

from collections.abc import Generator
from functools import partial
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from softbench import plugins
from softbench.case import Case, Measurement, Unsupported
from softbench.metrics import _rows
from softbench.metrics._finite import refuse_non_finite
from softbench.metrics._heads import heads_of, mechanism_at_operator_level, without_convolution
from softbench.protocol import Protocol
from softbench.workload import Workload, params_of

QUANTITIES = {
    "approximation_error": ("1", "lower"),
    "approximation_error_max": ("1", "lower"),
    "softmax_error": ("1", "lower"),
}
REPEATED = False

Found = dict[str, Measurement | Unsupported]


def work(case: Case) -> int:
    """FLOPs besides the case's own call, in float32 products: it grows with N², for the budget."""
    if case.level != "operator":
        return 0  # it is refused
    shape = case.shape
    sizes = (shape.batch_size, shape.num_heads, shape.seq_len, shape.head_dim)
    exact = hasattr(plugins.load("attention", case.attention), "exact")
    return _rows.work(sizes, 2 if exact else 1)


def measure(workload: Workload, protocol: Protocol) -> Generator[None, None, Found]:
    """The three distances, yielding between blocks of queries.

    Raises Unsupported at layer level and on the meta device, NonFiniteError for an output of NaN.
    """
    case = workload.case
    mechanism = mechanism_at_operator_level(case)
    out_BHND = without_convolution(case).step()
    refuse_non_finite("the output", out_BHND)
    heads = heads_of(workload)
    to_softmax = yield from _distance(out_BHND, heads, _rows.softmax_rows)
    found: Found = {"softmax_error": Measurement([to_softmax[0]])}
    return found | (yield from _own_error(mechanism, case, out_BHND, heads))


def _own_error(
    mechanism: ModuleType, case: Case, out_BHND: Tensor, heads: tuple[Tensor, ...]
) -> Generator[None, None, Found]:
    """Distances to the mechanism's own `exact`, or why there are none."""
    names = ("approximation_error", "approximation_error_max")
    try:
        if not hasattr(mechanism, "exact"):
            raise Unsupported(f"{case.attention} names no dense attention that it tends to")
        exact = partial(_exact_rows, mechanism, params_of(case))
        distances = yield from _distance(out_BHND, heads, exact)
    except Unsupported as reason:
        return dict.fromkeys(names, reason)
    return {name: Measurement([value]) for name, value in zip(names, distances, strict=True)}


def _exact_rows(
    mechanism: ModuleType, params: object, q_BHTD: Tensor, k_BHND: Tensor, v_BHND: Tensor
) -> Tensor:
    rows_BHTD: Tensor = mechanism.exact(q_BHTD, k_BHND, v_BHND, params)
    return rows_BHTD


def _distance(
    out_BHND: Tensor, heads: tuple[Tensor, ...], rows: _rows.Rows
) -> Generator[None, None, tuple[float, float]]:
    """Relative Frobenius and relative maximum distance of `out` from the reference `rows`."""
    q_BHND, k_BHND, v_BHND = heads
    squares = np.zeros(2)
    largest = np.zeros(2)
    for block in _rows.row_blocks(tuple(q_BHND.shape)):
        wanted_BHTD = rows(q_BHND[:, :, block], k_BHND, v_BHND)
        of_block = _sizes(out_BHND[:, :, block].double() - wanted_BHTD, wanted_BHTD)
        squares += of_block[0]
        largest = np.maximum(largest, of_block[1])
        yield
    error, size = np.sqrt(squares).tolist()
    most, reference = largest.tolist()
    return error / size, most / reference


def _sizes(difference_BHTD: Tensor, wanted_BHTD: Tensor) -> list[list[float]]:
    """Sum of squares and largest size, each of the difference and of what was wanted.

    As numbers: a small tensor kept from block to block would lie in the hole that a block leaves,
    and with many cases taking turns malloc would find no hole for the next block.
    """
    both = (difference_BHTD, wanted_BHTD)
    squares = torch.stack([tensor.square().sum() for tensor in both])
    numbers: list[list[float]] = torch.stack(
        [squares, torch.stack([tensor.abs().amax() for tensor in both])]
    ).tolist()
    return numbers
