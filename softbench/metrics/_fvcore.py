"""Multiply-adds as fvcore counts them: a second, independent source for the closed forms.

fvcore traces real tensors, forward only, and takes what it has no rule for as nothing. So it is
told what it cannot see (the solver inside SOFT's own autograd function), corrected where its rule
is wrong (a product whose left factor has no batch), and asked for what it passed over.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

# What it may pass over: element-wise, a view, a reduction or something made of nothing.
NO_PRODUCTS = frozenset(
    f"aten::{name}"
    for group in (
        ("abs", "add", "div", "exp", "gelu", "mul", "pow", "reciprocal", "rsqrt", "rsub"),
        ("square", "sub", "softmax", "mT", "tensor_split", "amax", "mean", "sum"),
        ("eye", "new_ones"),
    )
    for name in group
)
# It has numbers for these, which are outside the boundary of softbench's counts.
OUTSIDE = ("aten::layer_norm", "aten::adaptive_avg_pool2d")


class BlindError(ArithmeticError):
    """fvcore met an operator that it has no rule for and that may hold a product."""


def multiply_adds(
    module: nn.Module, inputs: tuple[Tensor, ...], solver_macs: Callable[[int], int]
) -> int:
    """Of one call. `solver_macs(m)` is what the implicit inverse of one m × m matrix takes.

    Raises BlindError for an operator without a rule, PyTorch's fused attention for one.
    """
    from fvcore.nn import FlopCountAnalysis

    def solver(inputs: list[Any], outputs: list[Any]) -> int:
        *batch, m, _ = inputs[0].type().sizes()
        return int(math.prod(batch)) * solver_macs(m)

    count = FlopCountAnalysis(module, inputs)
    for name in OUTSIDE:
        count = count.set_op_handle(name, lambda inputs, outputs: 0)
    count = count.set_op_handle("prim::PythonOp._ImplicitInverse", solver)
    count = count.set_op_handle("aten::matmul", _product)
    count.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    total = int(count.total())
    unseen = set(count.unsupported_ops()) - NO_PRODUCTS
    if unseen:
        raise BlindError(f"fvcore has no rule for {', '.join(sorted(unseen))}")
    return total


def _product(inputs: list[Any], outputs: list[Any]) -> int:
    width: int = inputs[0].type().sizes()[-1]
    return width * int(math.prod(outputs[0].type().sizes()))
