"""Approximation error against numpy in one piece, by blocks of queries, and where there is none.

Broken on purpose, each of these turned a test here red: the reference in float32, the case's output
with its convolution, keys drawn anew where they are shared, the scale left out of softmax, blocks
that skip their last row, the maximum not divided, errors of blocks averaged, NaN let through,
`exact` asked for at layer level, work that grows with N, a tensor kept from every block.
"""

from __future__ import annotations

import gc
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from metric_cases import drain, make
from torch import Tensor

from softbench import plugins
from softbench.attention import nystromformer, soft
from softbench.case import Case, Measurement, Shape, Unsupported
from softbench.metrics import _rows, approximation_error
from softbench.metrics._finite import NonFiniteError
from softbench.protocol import Protocol
from softbench.workload import build

SHAPE = Shape(batch_size=2, num_heads=3, grid=(6, 5), head_dim=8)  # type: ignore[call-arg]
NAMES = ("approximation_error", "approximation_error_max", "softmax_error")


def measured(case: Case) -> dict[str, Any]:
    return drain(approximation_error.measure(build(case), Protocol()))[1]


def values(case: Case) -> list[float]:
    found = measured(case)
    return [found[name].values[0] for name in NAMES]


def in_numpy(case: Case) -> tuple[np.ndarray[Any, Any], ...]:
    """Queries, keys, values and output of the case, keys the queries where they are shared."""
    workload = build(case)
    q, *others = (tensor.double().numpy() for tensor in workload.inputs)
    return q, (others[0] if len(others) == 2 else q), others[-1], workload.step().double().numpy()


def softmax(q: Any, k: Any, v: Any) -> Any:
    scores = np.einsum("bhnd,bhmd->bhnm", q, k) / np.sqrt(q.shape[-1])
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True) @ v


def gaussian(q: Any, k: Any, v: Any) -> Any:
    squares = ((q[:, :, :, None] - k[:, :, None]) ** 2).sum(-1)
    return np.exp(-squares / (2 * np.sqrt(q.shape[-1]))) @ v


@pytest.mark.parametrize("block_bytes", [1, 8 * 2 * 3 * 30 * 7, 2**24])
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize(
    ("name", "params", "exact"),
    [
        ("soft", {"num_landmarks": 9}, gaussian),
        ("nystromformer", {"num_landmarks": 7}, softmax),
    ],
)
def test_errors_are_those_of_numpy(
    name: str, params: Any, exact: Any, dtype: Any, block_bytes: int, monkeypatch: Any
) -> None:
    monkeypatch.setattr(_rows, "BLOCK_BYTES", block_bytes)
    case = make(name, shape=SHAPE, params=params, dtype=dtype, inputs="smooth")
    q, k, v, out = in_numpy(case)
    own, dense = exact(q, k, v), softmax(q, k, v)
    wanted = [
        np.linalg.norm(out - own) / np.linalg.norm(own),
        abs(out - own).max() / abs(own).max(),
        np.linalg.norm(out - dense) / np.linalg.norm(dense),
    ]
    assert values(case) == pytest.approx(wanted, rel=1e-9)


def test_softmax_differs_from_itself_by_round_off_alone() -> None:
    found = measured(make(seq_len=196))
    assert 1e-8 < found["softmax_error"].values[0] < 1e-6
    for name in NAMES[:2]:
        assert "softmax names no dense attention" in str(found[name])
        assert isinstance(found[name], Unsupported)


def test_landmarks_at_every_token_leave_the_ridge_alone() -> None:
    shape = Shape(seq_len=25, num_heads=2, head_dim=8)
    params = {"num_landmarks": 25, "ridge": 0.0, "num_newton_iters": 60}
    near = values(make("soft", shape=shape, params=params, dtype="float64"))
    assert near[0] < 1e-9
    assert near[1] < 1e-9
    assert near[2] > 0.1


def test_the_value_convolution_is_left_out() -> None:
    plain = make("soft", shape=SHAPE, params={"num_landmarks": 9})
    convolved = make("soft", shape=SHAPE, params={"num_landmarks": 9, "conv_kernel_size": 3})
    assert values(convolved) == values(plain)


@pytest.mark.parametrize("mode", ["forward", "forward_backward"])
def test_the_mode_changes_nothing_and_leaves_no_gradient(mode: Any) -> None:
    workload = build(make("soft", shape=SHAPE, params={"num_landmarks": 9}, mode=mode))
    found = drain(approximation_error.measure(workload, Protocol()))[1]["softmax_error"]
    assert isinstance(found, Measurement)
    assert found.values == values(make("soft", shape=SHAPE, params={"num_landmarks": 9}))[2:]
    assert all(tensor.grad is None for tensor in workload.inputs)


def test_no_block_of_scores_is_larger_than_it_may_be(
    recorded_operators: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(_rows, "BLOCK_BYTES", 2**17)
    shape = Shape(num_heads=2, seq_len=196, head_dim=8)
    case = make("nystromformer", shape=shape, params={"num_landmarks": 16})
    with recorded_operators() as calls:
        turns, _ = drain(approximation_error.measure(build(case), Protocol()))
    largest = max(out.nbytes for _, out in calls if isinstance(out, Tensor))
    assert largest <= 2**17 < 8 * 2 * 196**2
    assert turns == 2 * 5


@pytest.mark.parametrize("tokens", [1, 7, 30, 1000])
def test_blocks_are_all_rows_once(tokens: int) -> None:
    blocks = list(_rows.row_blocks((2, 3, tokens, 8)))
    assert [row for block in blocks for row in range(tokens)[block]] == list(range(tokens))


def test_where_it_has_no_meaning_it_says_so() -> None:
    with pytest.raises(Unsupported, match="take level operator, not layer"):
        measured(make("soft", level="layer"))
    with pytest.raises(Unsupported, match="meta device"):
        measured(make("soft", device="meta"))


def test_an_exact_that_refuses_is_unsupported_and_the_rest_is_given(monkeypatch: Any) -> None:
    def refuse(*_: object) -> Tensor:
        raise Unsupported("not with these params")

    monkeypatch.setattr(nystromformer, "exact", refuse)
    found = measured(make("nystromformer", shape=SHAPE, params={"num_landmarks": 7}))
    assert [str(found[name]) for name in NAMES[:2]] == ["not with these params"] * 2
    assert found["softmax_error"].values[0] > 0


def test_nan_is_an_error(monkeypatch: Any) -> None:
    attend = soft.BACKENDS["eager"]
    monkeypatch.setitem(soft.BACKENDS, "eager", lambda *a, **b: attend(*a, **b) * torch.nan)
    with pytest.raises(NonFiniteError, match="the output has 1440 of 1440 entries NaN"):
        measured(make("soft", shape=SHAPE, params={"num_landmarks": 9}))


def test_work_is_quadratic_and_twice_for_two_references() -> None:
    short, long = (make("soft", seq_len=tokens) for tokens in (784, 3136))
    assert approximation_error.work(long) == 16 * approximation_error.work(short)
    assert approximation_error.work(short) == 2 * approximation_error.work(make(seq_len=784))


def test_every_mechanism_gives_every_quantity_something() -> None:
    for name in plugins.names("attention"):
        found = measured(make(name, shape=Shape(seq_len=400, num_heads=2, head_dim=8)))
        assert set(found) == set(NAMES)
        module: ModuleType = plugins.load("attention", name)
        assert isinstance(found["approximation_error"], Measurement) is hasattr(module, "exact")


def test_no_tensor_is_left_by_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would lie where the block lay, and the next block of another case would not fit there."""
    monkeypatch.setattr(_rows, "BLOCK_BYTES", 1)
    measuring = approximation_error.measure(build(make("softmax", shape=SHAPE)), Protocol())
    alive = []
    for _ in range(6):
        next(measuring)
        gc.collect()
        alive.append(sum(issubclass(type(one), Tensor) for one in gc.get_objects()))
    assert alive[2] == alive[5]
