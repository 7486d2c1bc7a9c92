"""The paper's metric beside the truth: against numpy, and what 20 steps leave on smooth landmarks.

Broken on purpose, each of these turned a test here red: the residual of X R X, the ridge left out
of the reference, one value for all matrices, the reference in float32, NaN let through, a singular
matrix compared with its own round-off, more than one thread.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from metric_cases import make

from softbench import plugins
from softbench.attention import nystromformer, soft
from softbench.case import Case, Shape, Unsupported
from softbench.inverse import newton
from softbench.metrics import inverse_residual
from softbench.metrics._finite import NonFiniteError
from softbench.protocol import Protocol
from softbench.workload import build

SHAPE = Shape(batch_size=2, num_heads=3, seq_len=100, head_dim=8)
INVERTING = ("nystromformer", "soft", "soft_norm")


def measured(case: Case) -> dict[str, Any]:
    return inverse_residual.measure(build(case), Protocol())


def smooth(num_landmarks: int, **params: Any) -> Case:
    """Landmarks of a smooth field of 8 channels: neighbours alike, the kernel near its ridge."""
    return make(
        "soft", inputs="smooth", dtype="float64", shape=Shape(seq_len=784, head_dim=8),
        params={"num_landmarks": num_landmarks, **params},
    )  # fmt: skip


def inverted(case: Case) -> tuple[np.ndarray[Any, Any], ...]:
    """The matrix and the X that the mechanism itself gives."""
    module: ModuleType = plugins.load("attention", case.attention)
    q, *others = build(case).inputs
    k = others[0] if len(others) == 2 else None
    pair = module.landmark_inverse(q, k, module.Params(**case.params), {}, case.shape.grid)
    return tuple(matrix.numpy() for matrix in pair)


def norms(matrices: np.ndarray[Any, Any], kind: Any) -> np.ndarray[Any, Any]:
    """One of each matrix, in a row."""
    found: np.ndarray[Any, Any] = np.linalg.norm(matrices, kind, axis=(-2, -1)).flatten()
    return found


@pytest.mark.parametrize("name", INVERTING)
def test_both_are_those_of_numpy_for_each_matrix(name: str) -> None:
    case = make(name, shape=SHAPE, params={"num_landmarks": 9}, dtype="float64", inputs="smooth")
    r, x = inverted(case)
    inverse = np.linalg.inv(r)
    found = measured(case)
    for quantity, difference, size in (
        ("inverse_residual", r @ x @ r - r, r),
        ("inverse_error", x - inverse, inverse),
    ):
        wanted = norms(difference, "fro") / norms(size, "fro")
        assert found[quantity].values == pytest.approx(wanted, rel=1e-5, abs=1e-14)
        spectral = norms(difference, 2) / norms(size, 2)
        assert found[quantity].detail["two_norm"] == pytest.approx(spectral, rel=1e-5, abs=1e-14)
        conditions = np.linalg.cond(r).flatten()
        assert found[quantity].detail["condition_numbers"] == pytest.approx(conditions, rel=1e-6)
    assert len(found["inverse_error"].values) == 6


@pytest.mark.parametrize("name", INVERTING)
def test_it_is_the_inverse_that_the_mechanism_uses(name: str, monkeypatch: Any) -> None:
    """With its X taken for the true inverse, attend gives what it gave."""
    case = make(name, shape=SHAPE, params={"num_landmarks": 9}, dtype="float64", inputs="smooth")
    module: ModuleType = plugins.load("attention", name)
    wanted = build(case).step()
    pair = tuple(torch.from_numpy(matrix) for matrix in inverted(case))
    monkeypatch.setattr(module, "_inverted", lambda *_: pair if name != "soft" else _without(pair))
    assert torch.allclose(build(case).step(), wanted, rtol=1e-10)
    monkeypatch.setattr(module, "_inverted", lambda *_: (pair[0], 2 * pair[1]))
    assert not torch.allclose(build(case).step(), wanted, rtol=1e-3)


def _without(pair: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return pair[0] - 0.01 * torch.eye(pair[0].shape[-1], dtype=torch.float64), pair[1]


def test_softs_matrix_has_its_ridge_and_its_x_is_newtons() -> None:
    with_ridge, x = inverted(smooth(49))
    without, _ = inverted(smooth(49, ridge=0.0))
    assert np.allclose(with_ridge - without, 0.01 * np.eye(49), atol=1e-15)
    wanted = newton.invert(torch.from_numpy(without), num_iters=20).numpy()
    assert np.allclose(x, wanted, rtol=1e-9)


@pytest.mark.parametrize(
    ("num_landmarks", "low", "high"), [(49, 0.2, 0.4), (64, 0.45, 0.75), (196, 0.9, 1)]
)
def test_twenty_steps_look_converged_and_are_not(
    num_landmarks: int, low: float, high: float
) -> None:
    found = measured(smooth(num_landmarks))
    errors, residuals = found["inverse_error"].values, found["inverse_residual"].values
    assert low < sum(errors) / len(errors) < high
    assert max(found["inverse_residual"].detail["two_norm"]) < 1e-3
    # In the Frobenius norm many eigenvalues each miss as much.
    assert max(residuals) < 5e-3


def test_the_papers_metric_is_bounded_whatever_the_condition() -> None:
    """e^(-1/2)/√(2 · 1.8 · 2^20) of ‖A‖₁/‖R‖, in the 2-norm."""
    for num_landmarks in (49, 196):
        r, _ = inverted(smooth(num_landmarks))
        row_sums = (r - 0.01 * np.eye(num_landmarks)).sum(-1).max(-1)
        ratio = (row_sums / np.linalg.norm(r, 2, axis=(-2, -1))).max()
        bound = np.exp(-0.5) / np.sqrt(3.6 * 2**20) * ratio
        two = measured(smooth(num_landmarks))["inverse_residual"].detail["two_norm"]
        assert 0.5 * bound < max(two) < 1.01 * bound


@pytest.mark.parametrize(
    ("inverse", "bound"), [("cholesky", 1e-11), ("svd", 1e-11), ("newton_spd", 1e-3)]
)
def test_what_inverts_in_truth_is_seen_to(inverse: str, bound: float) -> None:
    assert max(measured(smooth(49, inverse=inverse))["inverse_error"].values) < bound


def test_spectral_newton_is_as_far_from_the_inverse_as_newton() -> None:
    wanted = measured(smooth(49))["inverse_error"].values
    found = measured(smooth(49, inverse="spectral_newton"))["inverse_error"].values
    assert found == pytest.approx(wanted, rel=1e-9)


def test_forty_steps_converge() -> None:
    assert max(measured(smooth(49, num_newton_iters=40))["inverse_error"].values) < 1e-10


def test_a_singular_matrix_has_a_residual_and_no_inverse() -> None:
    case = smooth(196, ridge=0.0, inverse="svd")
    case = case.model_copy(update={"shape": Shape(seq_len=784, head_dim=1)})
    found = measured(case)
    assert isinstance(found["inverse_error"], Unsupported)
    assert "has no inverse to compare with" in str(found["inverse_error"])
    assert max(found["inverse_residual"].values) < 1e-4


def test_a_diverged_iteration_is_an_error() -> None:
    params = {"num_landmarks": 49, "ridge": 1.0, "landmarks": "first", "num_newton_iters": 20}
    case = make("soft", seq_len=784, params=params)
    with pytest.raises(NonFiniteError, match="its inverse has 19208 of 19208 entries NaN"):
        measured(case)


@pytest.mark.parametrize("name", ["softmax", "linformer", "performer"])
def test_who_inverts_nothing_says_so(name: str) -> None:
    with pytest.raises(Unsupported, match=f"{name} inverts no landmark matrix"):
        measured(make(name, shape=Shape(seq_len=400, head_dim=8)))


def test_where_it_has_no_meaning_it_says_so() -> None:
    with pytest.raises(Unsupported, match="take level operator, not layer"):
        measured(make("soft", level="layer"))
    with pytest.raises(Unsupported, match="meta device"):
        measured(make("soft", device="meta"))


def test_matrices_that_do_not_match_are_refused(monkeypatch: Any) -> None:
    for wrong in (torch.ones(1, 1, 3, 4), torch.ones(1, 1, 3, 3)):
        pair = (wrong, torch.ones(1, 1, 3, 4))
        monkeypatch.setattr(soft, "landmark_inverse", lambda *_, pair=pair: pair)
        with pytest.raises(ValueError, match=r"a matrix \(1, 1, 3, ."):
            measured(make("soft", shape=SHAPE, params={"num_landmarks": 9}))


def test_work_is_cubic_in_the_rank() -> None:
    small, large = (make("soft", params={"num_landmarks": m}) for m in (49, 196))
    assert inverse_residual.work(large) == 64 * inverse_residual.work(small)
    assert inverse_residual.work(make("softmax")) == 0
    assert nystromformer.RANK == "num_landmarks"


def test_two_threads_come_back() -> None:
    """MKL's LU, asked for two matrices of 196 rows on two threads, need not."""
    program = "import torch, test_inverse_residual as t; torch.set_num_threads(2); t.smooth_twice()"
    folders = (Path(__file__).parent, Path(__file__).parents[2])
    path = os.pathsep.join(map(str, (*folders, *sys.path)))
    subprocess.run(
        [sys.executable, "-c", program], check=True, timeout=100,
        env={**os.environ, "OMP_NUM_THREADS": "2", "PYTHONPATH": path},
    )  # fmt: skip


def smooth_twice() -> None:
    """Two matrices of 196 rows; the threads are afterwards as they were."""
    two = Shape(num_heads=2, seq_len=784, head_dim=8)
    measured(smooth(196).model_copy(update={"shape": two}))
    assert torch.get_num_threads() == 2
