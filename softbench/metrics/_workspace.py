"""Bytes that a kernel takes and gives back inside one operator, where dispatch cannot see them.

Known: convolutions and softbench's own kernels (files of their own) and flash attention on the CPU.
The latter works on tiles
of 32, 64 or 256 queries by at most 512 keys and keeps one tile's scores, running maxima and sums,
and partial output per thread, in float32 (float64 for float64); half precision keeps a second copy
of the tile in its own type.
Its backward keeps scores and their gradients of a tile per thread, and copies an output gradient
that does not lie in [B, N, H, D] order into that order.
Measured against the allocator's events the float32 forward and backward terms are exact.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload

from softbench.kernels import costs
from softbench.metrics._convolution_workspace import backward_bytes, forward_bytes
from softbench.metrics._dispatch import operator_name

FLASH_CPU = "aten._scaled_dot_product_flash_attention_for_cpu"


def cpu_workspace(func: OpOverload, args: tuple[Any, ...], output: Any) -> int:
    """Workspace of one CPU operator in bytes beyond its output, 0 where none is known."""
    name = str(func)
    if name == f"{FLASH_CPU}.default":
        return torch.get_num_threads() * _forward_tile(args[0], args[1])
    if name == f"{FLASH_CPU}_backward.default":
        return torch.get_num_threads() * _backward_tile(args[1], args[2]) + _laid_out(args[0])
    if name == "aten._safe_softmax.default":
        return masked_rows(output)
    if name == "aten.convolution.default":
        return forward_bytes(args, output)
    if name == "aten.convolution_backward.default":
        return backward_bytes(args, output)
    return costs.workspace_bytes(operator_name(func), args)


def no_workspace(func: OpOverload, args: tuple[Any, ...], output: Any) -> int:
    """For devices whose kernels' workspace is not known here."""
    return 0


def masked_rows(output: Tensor) -> int:
    """A truth value an entry, one a row, and a zero, to find the rows in which all is masked."""
    return output.numel() + output.numel() // output.shape[-1] + output.element_size()


def _forward_tile(q_BHND: Tensor, k_BHSD: Tensor) -> int:
    queries, keys = _tile(q_BHND, k_BHSD)
    wide = queries * (keys + 2 + q_BHND.shape[-1]) * _accumulator_bytes(q_BHND)
    return wide + _reduced_copy(q_BHND, queries * keys)


def _backward_tile(q_BHND: Tensor, k_BHSD: Tensor) -> int:
    queries, keys = _tile(q_BHND, k_BHSD)
    wide = queries * (2 * keys + 1) * _accumulator_bytes(q_BHND)
    return wide + _reduced_copy(q_BHND, 2 * queries * keys)


def _laid_out(gradient_BHND: Tensor) -> int:
    lies_right = gradient_BHND.transpose(1, 2).is_contiguous()
    return 0 if lies_right else gradient_BHND.numel() * gradient_BHND.element_size()


def _tile(q_BHND: Tensor, k_BHSD: Tensor) -> tuple[int, int]:
    queries = q_BHND.shape[-2]
    size = 256 if queries >= 768 else 64 if queries >= 192 else 32
    return min(size, queries), min(512, k_BHSD.shape[-2])


def _accumulator_bytes(q_BHND: Tensor) -> int:
    return max(4, q_BHND.element_size())


def _reduced_copy(q_BHND: Tensor, elements: int) -> int:
    return elements * q_BHND.element_size() if q_BHND.element_size() < 4 else 0
