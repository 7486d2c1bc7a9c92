"""A case that goes wrong costs only itself: one record that says how, and the sweep goes on.

Mutants seen red: see the end of this docstring.
"""

from __future__ import annotations

import pytest

from run.commands import Bench
from softbench.case import Record

EXPECTED = {
    "raises": ("error", "ValueError: two and two"),
    "exits": ("error", "the worker exited with code 1; its last words: enough of this"),
    "leaves": ("error", "the worker exited with code 7"),
    "killed": ("error", "SIGKILL (the system's out-of-memory killer sends this)"),
    "crashes": ("error", "killed by SIGSEGV"),
    "interrupts": ("error", "the worker exited with code"),
    "memory": ("out_of_memory", "MemoryError: no memory for 7 bytes"),
    "allocator": ("out_of_memory", "DefaultCPUAllocator"),
    "loops": ("timeout", "did not move for 2 s"),
    "holds": ("timeout", "did not move for 2 s"),
    "unsupported": ("unsupported", "it was asked not to"),
    "prints": ("ok", ""),
    "none": ("ok", ""),
}


@pytest.fixture(scope="module")
def troubles(shared_bench: Bench) -> list[Record]:
    """Every trouble in two blocks, beside a mechanism in good health."""
    shared_bench.suite(
        attention={"troubled": {"trouble": list(EXPECTED)}, "softmax": {}},
        shape={"batch_size": 1, "num_heads": 1, "seq_len": [16, 17], "head_dim": 8},
        metrics=["turns", "parameters"],
    )
    command = shared_bench.run(plugins=("troubled", "turns"), patience=2)
    assert command.code == 4, command.err
    return shared_bench.records()


@pytest.mark.parametrize("trouble", EXPECTED)
def test_every_way_a_case_can_go_is_a_record(troubles: list[Record], trouble: str) -> None:
    found = [
        record
        for record in troubles
        if record.case.params == {"trouble": trouble} and record.metric == "turns"
    ]
    status, reason = EXPECTED[trouble]
    assert [record.case.shape.seq_len for record in found] == [16, 17]
    for record in found:
        assert record.status == status
        assert reason in (record.reason or "")
        assert bool(record.values) == (status == "ok")


def test_nothing_is_lost_and_nothing_stands_twice(troubles: list[Record]) -> None:
    assert len(troubles) == len({record.key for record in troubles}) == 2 * 2 * (len(EXPECTED) + 1)
    assert all(r.status == "ok" for r in troubles if r.case.attention == "softmax")
