"""Bytes that a CPU convolution takes and gives back inside one operator.

PyTorch hands float32 convolutions on the CPU to oneDNN, which copies input and weight into layouts
whose channels come in blocks as wide as the vector unit (16 with AVX-512, else 8), computes into an
output of that kind, and copies it back; what does not lie contiguous is first made so. Few
channels are thus padded to a whole block: the value convolution of two heads takes eight times the
bytes of its values.
Not known, hence not in it: the scratch of single kernels, the pass over the weight's gradient
(sometimes one blocked copy more, by kernel size), and the kernels for other types.
"""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch import Tensor


def forward_bytes(args: tuple[Any, ...], output: Tensor) -> int:
    """Beyond the output itself: blocked input, weight and output, then the output copied back."""
    x, weight, transposed, groups = args[0], args[1], args[6], args[8]
    if transposed or not _by_onednn(x):
        return 0
    return _plain_copy(x) + _pass_bytes(x, weight, output, groups)


def backward_bytes(args: tuple[Any, ...], output: Any) -> int:
    """Beyond the gradients: the pass that makes the input's gradient out of the output's."""
    gradient, x, weight, transposed, groups = args[0], args[1], args[2], args[7], args[9]
    if transposed or not args[10][0] or not _by_onednn(x):
        return 0
    # The weight's gradient is not there yet while this pass runs.
    copies = _plain_copy(x) + _plain_copy(gradient)
    return copies + _pass_bytes(gradient, weight, x, groups)


def _pass_bytes(source: Tensor, weight: Tensor, target: Tensor, groups: int) -> int:
    blocked_target = _blocked_bytes(target)
    copies = _blocked_bytes(source) + _blocked_weight_bytes(weight, groups) + blocked_target
    return max(copies - target.nbytes, blocked_target)


def _plain_copy(image_BCRS: Tensor) -> int:
    return 0 if image_BCRS.is_contiguous() else image_BCRS.nbytes


def _blocked_bytes(image_BCRS: Tensor) -> int:
    channels = _up(image_BCRS.shape[1])
    return image_BCRS.nbytes // image_BCRS.shape[1] * channels


def _blocked_weight_bytes(weight: Tensor, groups: int) -> int:
    outputs, inputs, *kernel = weight.shape
    if groups > 1:  # depth-wise: blocks run over the groups
        return _up(groups) * (outputs // groups) * inputs * prod(kernel) * weight.element_size()
    return _up(outputs) * _up(inputs) * prod(kernel) * weight.element_size()


def _by_onednn(x: Tensor) -> bool:
    return x.dtype == torch.float32 and bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


def _up(channels: int) -> int:
    block = 16 if torch.backends.cpu.get_cpu_capability() == "AVX512" else 8
    return -(-channels // block) * block
