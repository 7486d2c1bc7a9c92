"""Backend `fused` of Performer: its blocks of tokens, its maxima, its own counts.

Mutants seen red: sums not scaled down at a larger maximum; the maximum of all keys not kept; equal
maxima of a query or of keys not shared, a maximum's token counted from its block, no room for
rounding at a maximum; room for a token too few in a block; its backward counted once, exponentials
counted for relu; the gradient of the sums, the marks of maxima or of relu left out of the memory.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from fused_checks import MAXIMA, both, sized
from mechanism_checks import farthest, tokens

from softbench.attention import performer
from softbench.case import Shape
from softbench.contract.attention import case
from softbench.kernels import _favor_blocks, _favor_maxima, favor_costs
from softbench.metrics import peak_memory, predicted_peak_memory
from softbench.metrics._work import work_of
from softbench.protocol import Protocol
from softbench.workload import build


@pytest.mark.parametrize("block_bytes", [1, 2000, 30000])
@pytest.mark.parametrize("options", [{}, MAXIMA, {"kernel": "relu"}])
def test_blocks_change_nothing(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], block_bytes: int
) -> None:
    """Keys grow along the tokens, so that every block has a larger maximum than those before."""
    monkeypatch.setattr(_favor_blocks, "BLOCK_BYTES", block_bytes)
    given = [tokens(2, 3, 100, 6, seed=seed) for seed in range(4)]
    given[1] *= torch.linspace(0.2, 2, 100)[:, None]
    assert farthest(both(performer, (2, 3, 100, 6), given=given, **options), num_inputs=3) < 1e-10


@pytest.mark.parametrize("layout", ["plain", "layer"])
def test_tokens_that_are_largest_together_share_the_gradient_of_a_maximum(layout: str) -> None:
    given = [tokens(1, 2, 50, 6, seed=seed).repeat(1, 1, 2, 1) for seed in range(3)]
    given.append(tokens(1, 2, 100, 6, seed=3))
    options = {**MAXIMA, "num_features": 9}
    assert (
        farthest(
            both(performer, (1, 2, 100, 6), given=given, layout=layout, **options), num_inputs=3
        )
        < 1e-10
    )


def test_features_that_are_largest_together_share_the_gradient_of_a_maximum() -> None:
    features = torch.tensor([[[1.0, 3.0, 3.0, 2.0], [4.0, 0.0, 1.0, 1.0]]])
    shares = [[0, 0.5, 0.5, 0], [1, 0, 0, 0]]
    assert _favor_maxima.of_tokens(features).tolist() == [shares]


def test_a_maximum_is_found_though_products_round_otherwise() -> None:
    """The last bit of the largest, or of what it is compared with, may differ."""
    largest = torch.full((1, 1, 1), 3.0)
    for last in (2.9999998, 3.0, 3.0000002):
        peaks = _favor_maxima.Peaks(largest)
        peaks.find(torch.tensor([[[1.0, 2.0], [last, 2.9999]]]), 4)
        gradient = torch.zeros(1, 6, 2)
        peaks.take_off(gradient, torch.full((1, 1, 1), 2.0), torch.eye(2))
        assert gradient[0, 5].tolist() == [-2, 0]
        assert gradient.count_nonzero() == 1


@pytest.mark.parametrize("fields", [MAXIMA, {"kernel": "relu"}, {"num_features": 3000}])
def test_memory_of_other_features_is_as_predicted(fields: dict[str, Any]) -> None:
    given = sized("performer", "forward_backward").model_copy(update={"params": fields})
    workload = build(given)
    found = peak_memory.measure(workload, Protocol())["peak_memory"].values[0]
    (told,) = predicted_peak_memory.measure(workload, Protocol()).values()
    assert told.values[0] == pytest.approx(found, rel=0.01)


def test_exponentials_are_counted() -> None:
    rank, shape = 11, Shape(num_heads=2, seq_len=64, head_dim=8)
    once = 2 * 2 * 64 * rank
    for mode, times in (("forward", 1), ("forward_backward", 2)):
        given = case("performer", backend="fused", shape=shape, mode=mode)
        for kernel, wanted in (("softmax", times * once), ("relu", 0)):
            params = {"num_features": rank, "kernel": kernel}
            work = work_of(given.model_copy(update={"params": params}))
            assert work.exponentials == wanted
    assert set(favor_costs.FLOPS) == set(favor_costs.NAMES)
