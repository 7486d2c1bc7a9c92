"""Gradients of pooled landmarks are added where the queries' own lie, however that is laid out.

Mutants seen red: what was added to a copy not written back.
"""

from __future__ import annotations

import pytest
import torch

from softbench.kernels import low_rank, pooling

pytestmark = pytest.mark.skipif(not low_rank.is_built(), reason="no C++ compiler built the kernels")


@pytest.mark.parametrize("turned", [False, True])
def test_a_gradient_of_any_layout_is_added_to_in_place(turned: bool) -> None:
    edges = ((0, 2, 2, 4), (0, 1, 1, 3), 3)  # four windows of a grid of 4 x 3 tokens
    q = torch.randn(2, 3, 12, 8, dtype=torch.float64, requires_grad=True)
    _, landmarks = pooling.with_queries(q, *edges)
    dl = torch.randn_like(landmarks)
    grid = q.detach().reshape(2, 3, 4, 3, 8).requires_grad_()
    wanted = (
        torch.stack(
            [
                grid[:, :, top : top + 2, left:right].mean((2, 3))
                for top in (0, 2)
                for left, right in ((0, 1), (1, 3))
            ],
            2,
        )
        / 8**0.25
    )
    assert torch.allclose(landmarks, wanted)
    (added,) = torch.autograd.grad(wanted, grid, dl)
    before = torch.randn(2, 3, 8, 12, dtype=torch.float64).mT if turned else torch.randn_like(q)
    dq = before.detach().clone()
    assert dq.stride(-1) == (12 if turned else 1)
    torch.ops.softbench.add_pooled_gradient(dq, dl, *edges)
    assert torch.allclose(dq, before + added.flatten(2, 3))
