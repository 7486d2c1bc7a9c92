"""Bytes that a fused attention takes and gives back inside one operator on CUDA.

What dispatch shows is not in it: output, log-sum-exp, state of the random numbers, gradients.
From PyTorch's sources, as formulas of the shapes:
- flash, backward (flash_api.cpp, mha_bwd): the gradient of the queries accumulated in float32, its
  tokens rounded up to 128 and its head_dim to 32 (64 above 128), and one float32 a row.
- memory-efficient, backward (attention_backward.cu, kernel_backward.h): one float32 a row, and the
  gradient of the queries accumulated in float32 in tiles of 64 by 64 with 16 bytes each. For
  float32 the product of output and its gradient stands there before that; it is no larger.
Not known, hence not in it: flash's split of the keys where there are too few rows to fill the
device (some 1,700 tokens of 8 heads on 132 multiprocessors), cuDNN's attention and convolutions,
cuBLAS (it takes its workspace once, before the measured call). None of this has been compared with
a GPU yet.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch._ops import OpOverload

from softbench.metrics._workspace import masked_rows

# The caching allocator hands out whole blocks of so many bytes.
BLOCK_BYTES = 512
FLASH_BACKWARD = "aten._scaled_dot_product_flash_attention_backward.default"
EFFICIENT_BACKWARD = "aten._scaled_dot_product_efficient_attention_backward.default"


def cuda_workspace(func: OpOverload, args: tuple[Any, ...], output: Any) -> int:
    """Workspace of one CUDA operator in bytes beyond its output, 0 where none is known."""
    name = str(func)
    if name == FLASH_BACKWARD:
        return _flash_backward(args[1])
    if name == EFFICIENT_BACKWARD:
        return _efficient_backward(args[1])
    if name == "aten._safe_softmax.default":
        return masked_rows(output)
    return 0


def _flash_backward(q_BHND: Tensor) -> int:
    B, H, N, D = q_BHND.shape
    rows = B * H * _up(N, 128)
    return 4 * rows * (_up(D, 32 if D <= 128 else 64) + 1)


def _efficient_backward(q_BHND: Tensor) -> int:
    B, H, N, D = q_BHND.shape
    tiles = B * H * (_up(N, 64) // 64) * (_up(D, 64) // 64)
    return 4 * B * H * N + tiles * (4 * 64 * 64 + 16)


def _up(size: int, step: int) -> int:
    return -(-size // step) * step
