"""What backends `fused` of Linformer, Performer and Nyströmformer cost: memory and FLOPs.

Mutants seen red: Nyströmformer's F3 as an N × M matrix, its F1 Z counted; Linformer's scores held;
recomputation left out or counted once.
"""

from __future__ import annotations

from typing import Any

import pytest
from fused_checks import NAMES, sized
from torch import Tensor
from torch.utils._pytree import tree_leaves

from softbench.case import Shape
from softbench.contract.attention import case
from softbench.metrics import flops, peak_memory, predicted_peak_memory
from softbench.protocol import Protocol
from softbench.workload import build


@pytest.mark.parametrize("mode", ["forward", "forward_backward"])
@pytest.mark.parametrize("level", ["operator", "layer"])
@pytest.mark.parametrize("name", NAMES)
def test_memory_is_as_predicted(name: str, level: str, mode: str) -> None:
    workload = build(sized(name, mode, level=level))
    found = peak_memory.measure(workload, Protocol())["peak_memory"].values[0]
    (told,) = predicted_peak_memory.measure(workload, Protocol()).values()
    assert told.values[0] == pytest.approx(found, rel=0.01)


@pytest.mark.parametrize(("mode", "most"), [("forward", 1.4), ("forward_backward", 6)])
@pytest.mark.parametrize("name", NAMES)
def test_little_lives_beside_the_inputs(name: str, mode: str, most: float) -> None:
    workload = build(sized(name, mode, seq_len=3136))
    found = peak_memory.measure(workload, Protocol())["peak_memory"].values[0]
    assert found <= most * workload.inputs[0].nbytes


@pytest.mark.parametrize("name", ["linformer", "nystromformer"])
def test_no_tensor_has_a_number_for_every_token_and_landmark(
    recorded_operators: Any, name: str
) -> None:
    rank = {"linformer": "projection_length", "nystromformer": "num_landmarks"}[name]
    given = case(
        name, backend="fused", mode="forward_backward", device="meta", params={rank: 32},
        shape=Shape(num_heads=2, seq_len=1024, head_dim=8),
    )  # fmt: skip
    workload = build(given)
    with recorded_operators() as operators:
        workload.step()
    results = tree_leaves([result for _, result in operators])
    made = [one for one in results if isinstance(one, Tensor)]
    largest = max(one.untyped_storage().nbytes() // one.element_size() for one in made)
    # Linformer's own weights are [32, 1024]: more than the 2 × 1024 × 8 of the tokens.
    assert largest == (32 * 1024 if name == "linformer" else 2 * 1024 * 8)


@pytest.mark.parametrize("mode", ["forward", "forward_backward"])
@pytest.mark.parametrize("level", ["operator", "layer"])
@pytest.mark.parametrize("name", NAMES)
def test_counts_are_those_of_the_closed_form(name: str, level: str, mode: str) -> None:
    given = case(name, backend="fused", level=level, mode=mode)
    assert flops.dispatch_count(given).total == sum(flops.closed_form(given).values())
