"""A count of FLOPs from what PyTorch really dispatches: products, convolutions, fused attention.

Boundary: matrix products and convolutions count 2 FLOPs per multiply-add; element-wise work,
views, reductions, normalisation, pooling and resizing count zero. An operator that belongs to
neither list is an UnknownOperatorError, never a zero: what nobody counted must not look free.
Matrix factorisations count nominally, see `_factorisations.py`.
A fused attention backward is 5 products of the scores' size: it computes the scores once more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from softbench.kernels import costs
from softbench.metrics import _factorisations

Formula = Callable[[tuple[Any, ...], Any], int]


class UnknownOperatorError(LookupError):
    """An operator was dispatched that the counter can neither count nor pass as free."""


class DispatchCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts FLOPs by operator while it is entered; `total` is their sum."""

    def __init__(self) -> None:
        """Start with nothing counted."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.by_operator: Counter[str] = Counter()
        self._formulas = formulas()
        self._free = free_operators()

    @property
    def total(self) -> int:
        """All FLOPs counted so far."""
        return sum(self.by_operator.values())

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run `func` and count it. Raises UnknownOperatorError."""
        output = func(*args, **(kwargs or {}))
        name = operator_name(func)
        formula = self._formulas.get(name)
        if formula is not None:
            self.by_operator[name] += formula(args, output)
        elif takes_tensors(args, kwargs) and not is_free(func, self._free):
            raise UnknownOperatorError(
                f"no FLOP formula for {func}: give it one in softbench/metrics/_dispatch.py, "
                "or list it there as free if it is no product and no convolution"
            )
        return output


def operator_name(func: OpOverload) -> str:
    """The operator without its overload or in-place mark: aten::add for aten::add_.Tensor."""
    return str(func).rpartition(".")[0].replace(".", "::").rstrip("_")


def takes_tensors(*arguments: Any) -> bool:
    """Whether any argument is a tensor: what takes none (factories, type rules) has no product."""
    return any(isinstance(leaf, Tensor) for leaf in tree_leaves(arguments))


def is_free(func: OpOverload, free: frozenset[str]) -> bool:
    """Whether `func` lies outside the boundary: torch's own tags say so, or our list does."""
    tags = set(func.tags)
    return (
        func.is_view
        or torch.Tag.pointwise in tags
        or torch.Tag.reduction in tags
        or torch.Tag.view_copy in tags
        or operator_name(func).removeprefix("aten::") in free
    )


def formulas() -> dict[str, Formula]:
    """The FLOP formula of each operator that counts; args and output are the operator's own."""
    counted = {
        "mm": lambda args, output: 2 * output.numel() * args[0].shape[-1],
        "bmm": lambda args, output: 2 * output.numel() * args[0].shape[-1],
        "addmm": lambda args, output: 2 * output.numel() * args[1].shape[-1],
        "baddbmm": lambda args, output: 2 * output.numel() * args[1].shape[-1],
        "addbmm": lambda args, output: 2 * output.numel() * prod(args[1].shape[::2]),
        "mv": lambda args, output: 2 * args[0].numel(),
        "addmv": lambda args, output: 2 * args[1].numel(),
        "dot": lambda args, output: 2 * args[0].numel(),
        "vdot": lambda args, output: 2 * args[0].numel(),
        "addr": lambda args, output: 2 * output.numel(),
        "convolution": _convolution,
        "convolution_backward": _convolution_backward,
    }
    counted |= _factorisations.formulas()
    for name in FUSED_ATTENTION:
        counted[name] = lambda args, output: _scores_products(2, *args[:3])
        counted[f"{name}_backward"] = lambda args, output: _scores_products(5, *args[1:4])
    return {f"aten::{name}": formula for name, formula in counted.items()} | costs.FLOPS


FUSED_ATTENTION = (
    "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_flash_attention",
    "_scaled_dot_product_efficient_attention",
    "_scaled_dot_product_cudnn_attention",
    "_scaled_dot_product_fused_attention_overrideable",
)


def free_operators() -> frozenset[str]:
    """What torch tags neither pointwise nor reduction nor view, and is none of ours to count."""
    groups = (
        "empty_like new_empty new_empty_strided zeros_like new_zeros ones_like new_ones",
        "full_like new_full lift lift_fresh",
        "fill zero copy clone _to_copy masked_fill _unsafe_view resize set tril triu bernoulli",
        "normal uniform rand_like randn_like native_dropout",
        "native_dropout_backward _local_scalar_dense is_same_size detach equal",
        "cat stack repeat index index_put index_select index_add gather scatter scatter_add",
        "embedding embedding_dense_backward slice_backward select_backward diagonal_backward",
        "as_strided_scatter slice_scatter select_scatter unfold_backward constant_pad_nd flip roll",
        "_softmax _softmax_backward_data _safe_softmax _log_softmax _log_softmax_backward_data",
        "native_layer_norm native_layer_norm_backward native_group_norm native_group_norm_backward",
        "native_batch_norm native_batch_norm_backward cumsum cumprod sort topk norm",
        "avg_pool1d avg_pool2d avg_pool2d_backward adaptive_avg_pool1d _adaptive_avg_pool2d",
        "_adaptive_avg_pool2d_backward max_pool2d_with_indices max_pool2d_with_indices_backward",
        "upsample_linear1d upsample_linear1d_backward upsample_bilinear2d",
        "upsample_bilinear2d_backward upsample_nearest2d upsample_nearest2d_backward",
        "_foreach_add _foreach_mul",
        "elu_backward leaky_relu leaky_relu_backward softplus_backward hardtanh_backward",
        "mish_backward hardswish hardswish_backward log_sigmoid_forward log_sigmoid_backward",
    )
    return frozenset(name for group in groups for name in group.split())


def _convolution(args: tuple[Any, ...], output: Tensor) -> int:
    x, weight, transposed = args[0], args[1], args[6]
    return _convolution_products(x, weight, output, transposed=transposed)


def _convolution_backward(args: tuple[Any, ...], output: Any) -> int:
    gradient, x, weight, transposed, wanted = args[0], args[1], args[2], args[7], args[10]
    # The gradient of input and of weight each meet every (input, weight, output) triple once,
    # groups included; torch's own formula for the weight's leaves the groups out.
    gradients = int(wanted[0]) + int(wanted[1])
    return gradients * _convolution_products(x, weight, gradient, transposed=transposed)


def _convolution_products(x: Tensor, weight: Tensor, output: Tensor, *, transposed: bool) -> int:
    return 2 * (x if transposed else output).numel() * prod(weight.shape[1:])


def _scores_products(products: int, q_BHND: Tensor, k_BHSD: Tensor, v_BHSD: Tensor) -> int:
    # 2 forward: scores and output. 5 backward: scores again, dV, dP, dQ, dK.
    B, H, N, D = q_BHND.shape
    values = v_BHSD.shape[-1]
    by_values = products // 2
    return 2 * B * H * N * k_BHSD.shape[-2] * ((products - by_values) * D + by_values * values)
