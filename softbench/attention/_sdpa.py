"""PyTorch's scaled dot product attention: with the kernel of its choice, or held to one.

On the meta device nothing is chosen and PyTorch takes the call apart into its N × N form; the fused
operators are named there, so that counts and memory predictions see what devices run.

Holding PyTorch to a kernel changes settings around each call: some 30 µs of the host's time, which
the kernel of its own choice does not pay. They show where a call is as short as that. Mechanisms
that are made of flash attention call it by its name: they pay nothing, and have it whatever a
program around them holds PyTorch to.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from softbench.case import Shape, Unsupported
from softbench.inverse._precision import widened

Kernel = Literal["flash", "efficient", "math"]
KERNELS = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "math": SDPBackend.MATH,
}


def prepared(x_BHND: Tensor) -> Tensor:
    """In float32 or wider, the last dimension in one piece: else PyTorch takes the N × N form."""
    x_BHND = widened(x_BHND)
    return x_BHND if x_BHND.stride(-1) == 1 else x_BHND.contiguous()


def fused(q_BHND: Tensor, k_BHND: Tensor, v_BHND: Tensor) -> Tensor:
    """[B, H, N, D] by the kernel that PyTorch chooses; on meta by flash attention."""
    if q_BHND.device.type == "meta":
        return _on_meta("flash", q_BHND, k_BHND, v_BHND)
    if q_BHND.numel() == 0:  # the CPU's kernel divides by the number of heads, and ends the process
        return (q_BHND @ k_BHND.mT) @ v_BHND
    return functional.scaled_dot_product_attention(q_BHND, k_BHND, v_BHND)


def flash(q_BHND: Tensor, k_BHSD: Tensor, v_BHSD: Tensor) -> Tensor:
    """[B, H, N, D] by flash attention from S keys, all `prepared`, on the CPU or meta.

    Each head is an image of its own where heads lie one after another: the CPU's kernel would have
    gradients in the order [B, N, H, D], copied to that on their way in, and back on their way out.
    """
    heads = (q_BHND, k_BHSD, v_BHSD)
    _check_heads(*heads)
    if q_BHND.device.type != "meta" and q_BHND.numel() == 0:  # as in `fused`
        return (q_BHND @ k_BHSD.mT) @ v_BHSD
    if not all(one.is_contiguous() for one in heads):
        return _flash(*heads)
    out_G1ND = _flash(*(one.reshape(-1, 1, *one.shape[2:]) for one in heads))
    return out_G1ND.reshape(q_BHND.shape)


def fused_by(kernel: Kernel, q_BHND: Tensor, k_BHND: Tensor, v_BHND: Tensor) -> Tensor:
    """[B, H, N, D] by `kernel`. RuntimeError: the device has none for these tensors."""
    if q_BHND.device.type == "meta":
        return _on_meta(kernel, q_BHND, k_BHND, v_BHND)
    if q_BHND.numel() == 0:  # as in `fused`
        return (q_BHND @ k_BHND.mT) @ v_BHND
    with sdpa_kernel(KERNELS[kernel]):
        return functional.scaled_dot_product_attention(q_BHND, k_BHND, v_BHND)


def kernel_ran(
    shape: Shape, *, kernel: str | None, device: str, dtype: torch.dtype, with_gradient: bool
) -> str:
    """The name of the kernel for tensors of `shape`: PyTorch's choice if `kernel` is None.

    Raises Unsupported where the device has not got `kernel` for them.
    """
    sizes = (shape.batch_size, shape.num_heads, shape.seq_len, shape.head_dim)
    q_BHND = torch.empty(sizes, device=device, dtype=dtype, requires_grad=with_gradient)
    with nullcontext() if kernel is None else sdpa_kernel(KERNELS[kernel]):
        try:
            choice = torch._fused_sdp_choice(q_BHND, q_BHND, q_BHND)
        except RuntimeError:
            what = f"PyTorch has no {kernel or 'fused'} attention for {dtype} on {device}"
            raise Unsupported(f"{what}; sdpa takes what there is") from None
    return str(SDPBackend(choice).name).lower()


def _check_heads(q_BHND: Tensor, k_BHSD: Tensor, v_BHSD: Tensor) -> None:
    """ValueError for what would be read beyond its end: the kernel itself checks little."""
    fitting = (*q_BHND.shape[:2], k_BHSD.shape[2], q_BHND.shape[3])
    if k_BHSD.shape != fitting or v_BHSD.shape != fitting:
        raise ValueError(
            f"keys and values must be {list(fitting)} for queries {list(q_BHND.shape)}; keys are "
            f"{list(k_BHSD.shape)}, values {list(v_BHSD.shape)}; take eager, or make them alike"
        )


def _flash(q_BHND: Tensor, k_BHSD: Tensor, v_BHSD: Tensor) -> Tensor:
    # Who predicts for CUDA puts that device's operator in its place, which returns more.
    results = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(q_BHND, k_BHSD, v_BHSD)
    out_BHND: Tensor = results[0]
    return out_BHND


def _on_meta(kernel: Kernel, q_BHND: Tensor, k_BHND: Tensor, v_BHND: Tensor) -> Tensor:
    aten, heads = torch.ops.aten, (q_BHND, k_BHND, v_BHND)
    if kernel == "flash":
        return _flash(*heads)
    if kernel == "math":
        results = aten._scaled_dot_product_attention_math(*heads)
    else:
        for_gradient = torch.is_grad_enabled() and q_BHND.requires_grad
        results = aten._scaled_dot_product_efficient_attention(*heads, None, for_gradient)
    out_BHND: Tensor = results[0]
    return out_BHND
