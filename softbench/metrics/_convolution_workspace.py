"""Bytes that a CPU convolution takes and gives back inside one operator.

Each kernel is told as a walk of allocations and frees in the order in which the allocator saw them;
its highest point, without the results, is the workspace. Read off PyTorch 2.11 on CPUs with AVX-512
and with AVX2, and held against the allocator's events by the tests.

float32 (bfloat16 and float16 where the CPU has them) go to oneDNN. It copies input and weight into
layouts whose channels come in blocks as wide as the vector unit (16 with AVX-512, else 8), computes
into an output of that kind, and copies it back; what does not lie contiguous is first made so. Few
channels are thus padded to a whole block: the value convolution of two heads takes eight times the
bytes of its values. The gradient of a depth-wise weight takes such copies too, but for filters of
more than three columns or higher than the image, which go column by column and need next to none.
Channels that come last need no copies, but copies of the weight (what PyTorch gives its kernels in
that order on meta tensors lies in the other, which may cost a later operator one copy too many).
float64 goes to PyTorch's own kernel: group by group, every patch of the image laid out in columns.
Not known, hence not in it: the scratch of single kernels, up to some 300 KiB; with AVX2 that of an
image of one channel.
"""

from __future__ import annotations

from itertools import accumulate
from math import prod
from typing import Any

import torch
from torch import Tensor

Walk = list[int]


def forward_bytes(args: tuple[Any, ...], output: Tensor) -> int:
    """Beyond the output itself."""
    x, weight, transposed, groups = args[0], args[1], args[6], args[8]
    if transposed:
        return 0
    if not _by_onednn(x):
        walk = _in_columns(x, weight, output, groups)
    elif _channels_last(x):
        walk = [weight.nbytes, output.nbytes, weight.nbytes]
    else:
        inside = _blocked_bytes(x) if x.shape[1] > 1 else 0  # one channel is read as it lies
        walk = [_plain_copy(x), *_pass(inside, weight, output, groups)]
    return _highest(walk) - output.nbytes


def backward_bytes(args: tuple[Any, ...], output: Any) -> int:
    """Beyond the gradients; 0 where the input needs none, or for a bias."""
    gradient, x, weight, transposed, groups, wanted = *args[:3], args[7], args[9], args[10]
    if transposed or not wanted[0]:
        return 0
    if not _by_onednn(x):
        walk = _in_columns_backward(gradient, x, weight, groups)
    elif _channels_last(x):
        copy = _gradient_copy(gradient, x)
        walk = [copy, weight.nbytes, x.nbytes, weight.nbytes]
        walk += [_by_columns_last(weight, groups), weight.nbytes] if wanted[1] else []
    else:
        walk = [_plain_copy(x), _plain_copy(gradient)]
        again = groups == 1 < x.shape[1]
        walk += _pass(_blocked_bytes(gradient), weight, x, groups, again=again)
        walk += _weight_pass(gradient, x, weight, groups) if wanted[1] else []
    kept = [one.nbytes for one in output if isinstance(one, Tensor)]
    return _highest(walk) - sum(kept)


def _pass(inside: int, weight: Tensor, target: Tensor, groups: int, *, again: bool = False) -> Walk:
    """From a blocked image of `inside` bytes to a blocked target, which is then copied back.

    again: it is put in order once more, as float16 always is, which has no blocks of its own.
    """
    taps, out = _blocked_weight_bytes(weight, groups), _blocked_bytes(target)
    more = target.nbytes if again or target.dtype == torch.float16 else 0
    return [inside, taps, out, -taps, -inside, target.nbytes, more, -more, -out]


def _weight_pass(gradient: Tensor, x: Tensor, weight: Tensor, groups: int) -> Walk:
    rows, columns = weight.shape[2:]
    # float16 has no such kernel either.
    by_columns = columns > 3 or rows > x.shape[2] or x.dtype == torch.float16
    if groups == 1 or by_columns:
        return [weight.nbytes]
    copies = [_blocked_bytes(x), _blocked_bytes(gradient), _blocked_weight_bytes(weight, groups)]
    return [*copies, -sum(copies), weight.nbytes]


def _by_columns_last(weight: Tensor, groups: int) -> int:
    """Sums apart that a depth-wise weight's gradient is put together from, filters wider than 3."""
    apart = 256 if _is_avx512() else 64
    return (apart if groups > 1 and weight.shape[3] > 3 else 1) * weight.nbytes


def _in_columns(x: Tensor, weight: Tensor, output: Tensor, groups: int) -> Walk:
    """Each group's input, columns and output; then the outputs put together."""
    columns = _column_bytes(weight, output)
    if groups == 1:
        return [_in_order(x, weight), columns, output.nbytes]
    own, out = x.nbytes // groups, output.nbytes // groups
    group = [own, columns, out, -columns, -own]
    return [_in_order(x, weight), (groups - 1) * out, *group, output.nbytes]


def _in_columns_backward(gradient: Tensor, x: Tensor, weight: Tensor, groups: int) -> Walk:
    """The same; the gradients of the groups before it live, and are put together at the end."""
    columns = _column_bytes(weight, gradient)
    if groups == 1:
        copies = _in_order(x, weight) + _gradient_copy(gradient, x)
        return [copies, x.nbytes, weight.nbytes, columns]
    copies = x.nbytes // groups + gradient.nbytes // groups + columns
    return [_in_order(x, weight), weight.nbytes, x.nbytes, copies, -copies, x.nbytes]


def _column_bytes(weight: Tensor, output: Tensor) -> int:
    """One group's: for every pixel of the output the patch that it is made of."""
    return output.nbytes // weight.shape[0] * prod(weight.shape[1:])


def _highest(walk: Walk) -> int:
    return max(accumulate(walk))


def _in_order(x: Tensor, weight: Tensor) -> int:
    return weight.nbytes if _channels_last(x) else _plain_copy(x)


def _gradient_copy(gradient: Tensor, x: Tensor) -> int:
    """Of a gradient whose channels do not come last where the image's do."""
    return gradient.nbytes if _channels_last(x) and not _channels_last(gradient) else 0


def _plain_copy(image_BCRS: Tensor) -> int:
    return 0 if image_BCRS.is_contiguous() else image_BCRS.nbytes


def _channels_last(image_BCRS: Tensor) -> bool:
    as_last = image_BCRS.is_contiguous(memory_format=torch.channels_last)
    return as_last and not image_BCRS.is_contiguous()


def _blocked_bytes(image_BCRS: Tensor) -> int:
    channels = image_BCRS.shape[1]
    return image_BCRS.nbytes // channels * _up(channels, image_BCRS.dtype)


def _blocked_weight_bytes(weight: Tensor, groups: int) -> int:
    outputs, inputs, *kernel = weight.shape
    if groups > 1:  # depth-wise: blocks run over the groups
        per_group = outputs // groups * inputs
        return _up(groups, weight.dtype) * per_group * prod(kernel) * weight.element_size()
    blocks = _up(outputs, weight.dtype) * _up(inputs, weight.dtype)
    return blocks * prod(kernel) * weight.element_size()


def _by_onednn(x: Tensor) -> bool:
    if x.dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    if x.dtype == torch.float16:
        return bool(torch.ops.mkldnn._is_mkldnn_fp16_supported())
    return x.dtype == torch.float32 and bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


def _up(channels: int, dtype: torch.dtype) -> int:
    if dtype == torch.float16:
        return channels
    block = 16 if _is_avx512() else 8
    return -(-channels // block) * block


def _is_avx512() -> bool:
    return torch.backends.cpu.get_cpu_capability() == "AVX512"
