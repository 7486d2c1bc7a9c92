"""Options that the pyramid's stages have: Linformer by a convolution, Nyströmformer by 2-D means.

Seen red: rows and columns swapped, filters transposed, their channels in and out exchanged, means
of segments in place of windows.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

from softbench.attention import linformer, nystromformer
from softbench.case import Mode, Shape
from softbench.contract.attention import case
from softbench.metrics import flops
from softbench.workload import build

SHAPE = Shape(batch_size=2, num_heads=3, grid=(8, 12), head_dim=4)  # type: ignore[call-arg]
CONV: dict[str, Any] = {"compression": "conv", "projection_length": 6}
POOL: dict[str, Any] = {"landmarks": "pool", "num_landmarks": 16}
OPTIONS = [("linformer", CONV), ("linformer", {**CONV, "share": "kv"}), ("nystromformer", POOL)]


def heads(seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, 3, 96, 4, generator=generator, dtype=torch.float64)


def test_keys_and_values_are_compressed_by_convolutions_of_their_own() -> None:
    params = linformer.Params(**CONV)
    drawn = linformer.weights(SHAPE, params, torch.Generator().manual_seed(0))
    weights = {name: tensor.double() for name, tensor in drawn.items()}
    assert {name: tuple(tensor.shape) for name, tensor in weights.items()} == {
        "key_projection": (4, 4, 4, 4),
        "value_projection": (4, 4, 4, 4),
    }
    assert not torch.equal(*weights.values())
    q, k, v = heads(1), heads(2), heads(3)
    out = linformer.attend(q, k, v, params=params, weights=weights, grid=(8, 12))
    wanted = torch.empty_like(out)
    for image in range(2):
        for head in range(3):
            short = [
                torch.stack(
                    [
                        torch.einsum(
                            "rsd,cdrs->c",
                            tokens[image, head].reshape(8, 12, 4)[
                                row : row + 4, column : column + 4
                            ],
                            weights[name],
                        )
                        for row in (0, 4)
                        for column in (0, 4, 8)
                    ]
                )
                for name, tokens in (("key_projection", k), ("value_projection", v))
            ]
            wanted[image, head] = ((q[image, head] / 2) @ short[0].T).softmax(-1) @ short[1]
    assert torch.allclose(out, wanted, rtol=1e-12, atol=1e-12)


def test_landmarks_may_be_means_of_windows_of_the_grid() -> None:
    """The same as segments where every window is a segment: tokens laid out window by window."""
    q, k, v = heads(1), heads(2), heads(3)
    by_window = torch.arange(96).reshape(4, 2, 4, 3).transpose(1, 2).flatten()
    back = by_window.argsort()
    pool = nystromformer.Params(**POOL)
    segments = nystromformer.Params(num_landmarks=16)
    out = nystromformer.attend(q, k, v, params=pool, weights={}, grid=(8, 12))
    laid_out = (x[:, :, by_window] for x in (q, k, v))
    wanted = nystromformer.attend(*laid_out, params=segments, weights={}, grid=None)
    assert torch.allclose(out, wanted[:, :, back], rtol=1e-10, atol=1e-10)
    plain = nystromformer.attend(q, k, v, params=segments, weights={}, grid=(8, 12))
    assert not torch.allclose(out, plain, rtol=1e-2)


@pytest.mark.parametrize("level", ["operator", "layer"])
@pytest.mark.parametrize(("name", "params"), OPTIONS)
def test_backends_agree_and_every_count_is_what_is_dispatched(
    name: str, params: dict[str, Any], level: str
) -> None:
    modes: tuple[Mode, ...] = ("forward", "forward_backward")
    found = []
    for backend in ("eager", "fused"):
        for mode in modes:
            one = case(name, params=params, level=level, shape=SHAPE, backend=backend, mode=mode)
            assert sum(flops.closed_form(one).values()) == flops.dispatch_count(one).total
        workload = build(one)
        output = workload.step()
        found.append([output, *(tensor.grad for tensor in workload.inputs)])
    for plain, fast in zip(*found, strict=True):
        assert float((plain - fast).norm() / plain.norm()) < 1e-10


def test_a_convolution_takes_a_grid_it_was_not_built_for() -> None:
    params = linformer.Params(**CONV)
    weights = linformer.weights(SHAPE, params, torch.Generator().manual_seed(0))
    q = torch.randn(1, 3, 64, 4)
    assert linformer.attend(q, q, q, params=params, weights=weights, grid=(8, 8)).shape == q.shape


@pytest.mark.parametrize(
    ("changes", "shape", "message"),
    [
        ({"projection_length": 7}, SHAPE, "compression conv on a 8x12 grid .* nearest: 8"),
        ({}, Shape(seq_len=97), "compression: projection"),
        ({"per_head": True}, SHAPE, "per_head: false"),
    ],
)
def test_what_no_convolution_gives_is_refused(
    changes: dict[str, Any], shape: Shape, message: str
) -> None:
    reason = linformer.supports(shape, linformer.Params(**CONV | changes))
    assert reason is not None
    assert re.search(message, reason)


def test_pooling_needs_a_square_number_of_landmarks() -> None:
    reason = nystromformer.supports(SHAPE, nystromformer.Params(landmarks="pool", num_landmarks=8))
    assert reason is not None
    assert "nearest: 9" in reason
