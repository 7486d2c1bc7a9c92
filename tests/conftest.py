"""What tests share: golden values, shape suffixes held at run time, a recorder of operators."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

# Before torch is imported, and for every process a test starts: on two threads MKL's LU may never
# return, and a busy machine makes two threads slower than one.
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from softbench import plugins

torch.set_num_threads(1)

Golden = Callable[[str, str], dict[str, Tensor]]
ShapeChecker = Callable[[], AbstractContextManager[list[str]]]
OperatorRecorder = Callable[[], AbstractContextManager[list[tuple[str, Any]]]]
# The rooms whose locals are looked at, by the tests that call them. The metrics' tests leave the
# mechanisms out: a metric gives their `exact` a few rows of queries, which are called N there.
CHECKED_ROOMS = {
    "tests/attention/": ("attention", "inverse", "kernels"),
    "tests/inverse/": ("attention", "inverse", "kernels"),
    "tests/metrics/": ("metrics", "workload", "inverse"),
    "tests/test_workload": ("workload", "attention", "inverse"),
    "tests/test_contract": ("contract", "workload", "metrics", "inverse"),
    "tests/training/test_small": ("training",),
}
# Clocks are left alone: what looks at every return takes time of its own.
UNCHECKED_FILES = ("test_latency.py", "test_prediction_everywhere.py")
# These hand in tensors of a wrong shape, to see them refused.
WRONG_ON_PURPOSE = (
    "test_a_landmark_inverse_is_finite_and_square",
    "test_a_mechanism_that_breaks_a_rule_is_found_out",
    "test_a_solver_that_breaks_a_rule_is_found_out",
    "test_an_exact_is_finite_and_by_rows",
    "test_matrices_that_do_not_match_are_refused",
)


@pytest.fixture
def small_vit() -> Iterator[str]:
    """The name of a model whose file is given with --plugin, forgotten afterwards."""
    yield plugins.adopt(Path(__file__).parent / "plugins" / "small_vit.py")[1]
    del sys.modules["softbench.models.small_vit"]


@pytest.fixture
def golden() -> Golden:
    """Read one case of a golden file as float64 tensors, by the source's own array names."""

    def read(file: str, case: str) -> dict[str, Tensor]:
        path = Path(__file__).parent / "goldens" / f"{file}.npz"
        with np.load(path, allow_pickle=False) as arrays:
            names = [name for name in arrays.files if name.startswith(f"{case}/")]
            return {
                name.removeprefix(f"{case}/"): torch.from_numpy(arrays[name]).double()
                for name in names
            }

    return read


@pytest.fixture
def golden_meta() -> Callable[[str], Any]:
    """Read what a golden file says of itself: how it was made, and each case's options."""

    def read(file: str) -> Any:
        path = Path(__file__).parent / "goldens" / f"{file}.npz"
        with np.load(path, allow_pickle=False) as arrays:
            return json.loads(str(arrays["__meta__"]))

    return read


@pytest.fixture
def checked_shapes() -> ShapeChecker:
    """A context that lists every local of the mechanisms that is not shaped as its name says."""
    return lambda: _checked_shapes(CHECKED_ROOMS["tests/attention/"])


@pytest.fixture(autouse=True)
def _shape_suffixes_hold(request: pytest.FixtureRequest) -> Iterator[None]:
    """Shape suffixes are held at run time where tests call what uses them."""
    path = request.path.as_posix()
    rooms = [rooms for tests, rooms in CHECKED_ROOMS.items() if tests in path]
    test = getattr(request.node, "originalname", "")
    unchecked = request.path.name in UNCHECKED_FILES or test in WRONG_ON_PURPOSE
    # Drawing has no tensors, and is slow enough without someone looking on.
    if not rooms or unchecked or "[reports-" in request.node.name:
        yield
        return
    with _checked_shapes(rooms[0]) as broken:
        yield
    assert not broken, "\n".join(broken)


@pytest.fixture
def recorded_operators() -> OperatorRecorder:
    """A context that lists the name and the result of every operator that torch dispatches."""
    return _recorded_operators


@contextmanager
def _recorded_operators() -> Iterator[list[tuple[str, Any]]]:
    calls: list[tuple[str, Any]] = []

    class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            result = func(*args, **(kwargs or {}))
            calls.append((func.overloadpacket.__name__, result))
            return result

    with Recorder():  # type: ignore[no-untyped-call]
        yield calls


@contextmanager
def _checked_shapes(rooms: Sequence[str]) -> Iterator[list[str]]:
    broken: list[str] = []
    folders = [f"softbench/{room}/" for room in rooms]

    inside: dict[str, bool] = {}  # by file: this runs at every return of every function

    def on_event(frame: FrameType, event: str, _: Any) -> None:
        if event != "return":
            return
        filename = frame.f_code.co_filename
        if filename not in inside:
            inside[filename] = any(folder in filename for folder in folders)
        if inside[filename]:
            broken.extend(_misnamed(frame))

    before = sys.getprofile()
    sys.setprofile(on_event)
    try:
        yield broken
    finally:
        sys.setprofile(before)


def _misnamed(frame: FrameType) -> Iterator[str]:
    """Locals whose suffix has not one letter a dimension, or a letter that means two sizes."""
    sizes: dict[str, int] = {}
    for name, value in frame.f_locals.items():
        suffix = re.search(r"_([A-Z][A-Z1]*)$", name)
        if not isinstance(value, Tensor) or suffix is None:
            continue
        letters = suffix[1]
        where = f"{frame.f_code.co_name}: {name} is {list(value.shape)}"
        if len(letters) != value.ndim:
            yield where
            continue
        for letter, size in zip(letters, value.shape, strict=True):
            expected = 1 if letter == "1" else sizes.setdefault(letter, size)
            if size != expected:
                yield f"{where}, but {letter} is {expected}"
