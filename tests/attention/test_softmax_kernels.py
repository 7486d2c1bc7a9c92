"""Softmax held to one fused kernel: which runs, what a device has not got, what is recorded.

Broken on purpose, each of these turned a test here red: the kernel of PyTorch's choice in place of
the one that was asked for, flash on meta for every name, a missing kernel not refused at building,
its name left out of the record, PyTorch's usual choice told for the one that settings leave.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import pytest
import torch
from mechanism_checks import relative, tokens
from torch.nn.attention import SDPBackend, sdpa_kernel

from softbench.attention import softmax
from softbench.case import Case, Measurement, Unsupported
from softbench.contract.attention import case
from softbench.metrics import latency
from softbench.protocol import Protocol
from softbench.workload import backend_ran, build

RAN = {
    "eager": "eager",
    "sdpa": "flash_attention",
    "flash": "flash_attention",
    "math": "math",
}


def one(backend: str, **changes: Any) -> Case:
    return case("softmax", backend=backend, **changes)


@pytest.mark.parametrize("backend", ["flash", "math"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_kernel_that_was_asked_for_runs(
    recorded_operators: Any, backend: str, dtype: torch.dtype
) -> None:
    q, k, v = (tokens(1, 2, 49, 8, seed=seed).to(dtype) for seed in range(3))
    options: dict[str, Any] = {"params": softmax.Params(), "weights": {}, "grid": None}
    with recorded_operators() as operators:
        out = softmax.BACKENDS[backend](q, k, v, **options)
    flash = any("flash" in name for name, _ in operators)
    assert flash == (backend == "flash")
    bound = 1e-12 if dtype == torch.float64 else 2e-2
    assert relative(out, softmax.attend(q.double(), k.double(), v.double(), **options)) < bound


@pytest.mark.parametrize(
    ("backend", "operator"),
    [
        ("flash", "_scaled_dot_product_flash_attention_for_cpu"),
        ("efficient", "_scaled_dot_product_efficient_attention"),
        ("math", "bmm"),
    ],
)
@pytest.mark.parametrize("mode", ["forward", "forward_backward"])
def test_on_meta_the_operator_of_that_name(
    recorded_operators: Any, backend: str, operator: str, mode: Any
) -> None:
    workload = build(one(backend, device="meta", mode=mode))
    with recorded_operators() as operators:
        workload.step()
    names = {name for name, _ in operators}
    backward = operator if operator == "bmm" else f"{operator}_backward"
    assert operator in names
    assert (backward in names) == (mode == "forward_backward" or operator == "bmm")
    assert ("bmm" in names) == (backend == "math")


@pytest.mark.parametrize("backend", RAN)
@pytest.mark.parametrize("mode", ["forward", "forward_backward"])
def test_what_ran(backend: str, mode: Any) -> None:
    assert backend_ran(one(backend, mode=mode)) == RAN[backend]


@pytest.mark.parametrize(("backend", "ran"), [("sdpa", "math"), ("flash", "flash_attention")])
def test_what_ran_where_a_program_holds_pytorch_to_its_plain_form(
    recorded_operators: Any, backend: str, ran: str
) -> None:
    """PyTorch's choice is then none, and the record says so; a kernel asked for by name stays."""
    with sdpa_kernel(SDPBackend.MATH):
        workload = build(one(backend))
        with recorded_operators() as operators:
            workload.step()
        assert backend_ran(workload.case) == ran
    assert any("flash" in name for name, _ in operators) == (ran == "flash_attention")


def test_a_kernel_of_another_device_is_unsupported_before_anything_is_built() -> None:
    with pytest.raises(
        Unsupported, match=r"no efficient attention for torch\.float64 on cpu; sdpa"
    ):
        build(one("efficient"))


@pytest.mark.parametrize(
    ("attention", "backend", "ran"),
    [("softmax", "sdpa", "flash_attention"), ("soft", "eager", "eager")],
)
def test_latency_records_what_ran(attention: str, backend: str, ran: str) -> None:
    protocol = Protocol(sample_seconds=1e-3, warmup_seconds=1e-3)
    steps = latency.measure(build(case(attention, backend=backend)), protocol)
    assert outcome(steps)["latency"].detail["backend_ran"] == ran


def outcome(steps: Generator[None, None, dict[str, Measurement]]) -> dict[str, Measurement]:
    """What the generator returns at its end."""
    found: list[dict[str, Measurement]] = []

    def run() -> Iterator[None]:
        found.append((yield from steps))

    for _ in run():
        pass
    return found[0]


@pytest.mark.parametrize("backend", ["sdpa", "flash", "math"])
def test_an_empty_batch_has_an_empty_answer(backend: str) -> None:
    """Mutant seen red: given to flash attention, which divides by the number of heads and dies."""
    q = torch.zeros(2, 0, 9, 4)
    out = softmax.BACKENDS[backend](q, q, q, params=softmax.Params(), weights={}, grid=None)
    assert out.shape == q.shape
