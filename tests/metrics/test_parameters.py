"""Parameters: learned scalars only.

Mutant that turned a test here red: buffers counted as parameters.
"""

from __future__ import annotations

import torch
from metric_cases import make
from torch import nn

from softbench.metrics import parameters
from softbench.protocol import Protocol
from softbench.workload import Workload, build
from softbench.workload.operator import Operator


def test_learned_scalars_are_counted_and_drawn_ones_apart() -> None:
    weights = {"learned": nn.Parameter(torch.ones(2, 5)), "drawn": torch.ones(3)}
    case = make()
    module = Operator(lambda *heads, **_: heads[0], weights, None, case.shape, shares_keys=False)
    found = parameters.measure(Workload(case, module, (), None), Protocol())["parameters"]
    assert found.values == [10]
    assert found.detail == {"by_name": {"learned": 10}, "buffers": 3}


def test_softmax_layer_has_four_projections() -> None:
    found = parameters.measure(build(make(level="layer")), Protocol())["parameters"]
    biases = sum(n for name, n in found.detail["by_name"].items() if name.endswith("bias"))
    assert found.values == [4 * 512 * 512 + biases]
    assert sum(found.detail["by_name"].values()) == found.values[0]
