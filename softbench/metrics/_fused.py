"""Which fused attention stands on the meta twin of a case for the one its device would run.

On the meta device PyTorch takes `scaled_dot_product_attention` apart into its N × N form, and the
mechanisms here name the CPU's flash operator instead. This mode names the operator of the case's
own device, for both: on CUDA flash attention for half precision, the memory-efficient kernel for
float32, the N × N form for float64, as PyTorch's own order has it (sdp_utils.cpp).

Not followed: where a GPU of compute capability 9 or 10 has a recent cuDNN, PyTorch takes cuDNN's
kernel before flash; it saves the same tensors, and what it takes while it runs is not published.
None of this has been compared with a GPU yet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

HALF = (torch.float16, torch.bfloat16)


class FusedAttention(TorchFunctionMode):
    """While entered, plain attention on meta tensors is the fused operator of `device`."""

    def __init__(self, device: str) -> None:
        """`device` is the case's own: cpu, cuda, cuda:1, or meta for what the CPU has."""
        super().__init__()
        self._on_cuda = device.startswith("cuda")

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call `func`, or what stands for it; masks, dropout and scales are left alone."""
        by_pytorch = func is functional.scaled_dot_product_attention
        by_name = func is torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
        plain = len(args) == 3 and not kwargs
        if not (by_pytorch or by_name) or not plain or args[0].device.type != "meta":
            return func(*args, **(kwargs or {}))
        results = self._operator(*args)
        return results[0] if by_pytorch else results

    def _operator(self, q_BHND: Tensor, k_BHSD: Tensor, v_BHSD: Tensor) -> tuple[Tensor, ...]:
        heads, aten = (q_BHND, k_BHSD, v_BHSD), torch.ops.aten
        if not self._on_cuda:
            found = aten._scaled_dot_product_flash_attention_for_cpu(*heads)
        elif q_BHND.dtype in HALF:
            found = aten._scaled_dot_product_flash_attention(*heads)
        elif q_BHND.dtype == torch.float32:
            for_gradient = torch.is_grad_enabled() and q_BHND.requires_grad
            found = aten._scaled_dot_product_efficient_attention(*heads, None, for_gradient)
        else:
            found = aten._scaled_dot_product_attention_math(*heads)
        return tuple(found)
