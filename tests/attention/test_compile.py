"""The layer of SOFT can be compiled as one graph, forward and backward, without changing it.

Broken on purpose, this turned the test here red: the registry searched inside the call, the matmul
precision asked for inside the graph.
"""

from __future__ import annotations

import sys

import pytest
import torch

from softbench.attention import soft
from softbench.case import Shape


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["eager", "auto"])
def test_layer_can_be_compiled_whole(backend: str) -> None:
    sys.setprofile(None)  # the check of shape suffixes stands in the compiler's way
    shape = Shape(batch_size=1, num_heads=2, head_dim=4, seq_len=36)
    params = soft.Params(num_landmarks=9, landmarks="conv", conv_kernel_size=3)
    generator = torch.Generator().manual_seed(0)
    layer = soft.Attention(shape, params, backend=backend, generator=generator)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    x = torch.randn(1, 36, 8, generator=torch.Generator().manual_seed(1), requires_grad=True)
    out, wanted = compiled(x), layer(x)
    assert torch.allclose(out, wanted)
    (grad,), (wanted_grad,) = (torch.autograd.grad(y.sum(), x) for y in (out, wanted))
    assert torch.allclose(grad, wanted_grad)
