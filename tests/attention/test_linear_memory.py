"""No linear mechanism ever holds an N × N tensor: the largest one grows as the tokens do.

Broken on purpose, this turned the test here red for each of Linformer, Performer, Nyströmformer and
SOFT++: the product of tokens with tokens taken before that with the values.
"""

from __future__ import annotations

from typing import Any

import pytest
from torch import Tensor
from torch.utils._pytree import tree_leaves

from softbench.case import Case, Level, Mode, Shape
from softbench.contract.attention import LEVELS, MODES, case
from softbench.workload import build

LINEAR = ("soft", "soft_norm", "linformer", "performer", "nystromformer")


def largest(one: Case, recorded_operators: Any) -> int:
    """Elements of the largest tensor that an operator of one step puts out."""
    workload = build(one)
    with recorded_operators() as operators:
        workload.step()
    results = tree_leaves([result for _, result in operators])
    return max(result.numel() for result in results if isinstance(result, Tensor))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", LINEAR)
def test_largest_tensor_is_linear_in_tokens(
    recorded_operators: Any, name: str, level: Level, mode: Mode
) -> None:
    sizes = [
        largest(
            case(name, level=level, mode=mode, device="meta", shape=Shape(seq_len=side**2)),
            recorded_operators,
        )
        for side in (56, 112)
    ]
    assert sizes[1] == 4 * sizes[0]
    assert sizes[0] < (56**2) ** 2


def test_softmax_shows_that_the_test_can_fail(recorded_operators: Any) -> None:
    one = case("softmax", device="meta", shape=Shape(seq_len=784))
    assert largest(one, recorded_operators) == 8 * 784**2
