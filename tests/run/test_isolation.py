"""A case that goes wrong costs only itself: one record that says how, and the sweep goes on.

Mutants seen red: only ValueErrors caught, the allocator's error taken for a failure, standard
output left to what is measured, a hang called an error, division by a count of zero.
"""

from __future__ import annotations

import pytest

from run.commands import Bench
from softbench.case import Record

EXPECTED = {
    "raises": ("error", "ValueError: two and two"),
    "exits": ("error", "the worker exited with code 1; its last words: enough of this"),
    "leaves": ("error", "the worker exited with code 7"),
    "killed": ("error", "killed by SIGKILL"),
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
    """Every trouble in one block, beside a mechanism in good health."""
    shared_bench.suite(
        attention={"troubled": {"trouble": list(EXPECTED)}, "softmax": {}},
        metrics=["turns", "parameters"],
    )
    command = shared_bench.run(plugins=("troubled", "turns"), patience=2)
    assert command.code == 4, command.err
    return shared_bench.records()


@pytest.mark.parametrize("trouble", EXPECTED)
def test_every_way_a_case_can_go_is_a_record(troubles: list[Record], trouble: str) -> None:
    mine = [record for record in troubles if record.case.params == {"trouble": trouble}]
    (record,) = [record for record in mine if record.metric == "turns"]
    status, reason = EXPECTED[trouble]
    assert record.status == status
    assert reason in (record.reason or "")
    assert bool(record.values) == (status == "ok")


def test_the_reason_is_one_line_and_says_where(troubles: list[Record]) -> None:
    (raised,) = [r for r in troubles if r.reason and r.reason.startswith("ValueError")]
    assert raised.reason == "ValueError: two and two"
    assert raised.detail["where"][0].startswith("troubled.py:")


def test_nothing_is_lost_and_nothing_stands_twice(troubles: list[Record]) -> None:
    assert len(troubles) == len({record.key for record in troubles}) == 2 * (len(EXPECTED) + 1)
    assert all(r.status == "ok" for r in troubles if r.case.attention == "softmax")


def test_the_sweep_goes_on_after_a_block_that_lost_its_worker(bench: Bench) -> None:
    bench.suite(
        attention={"troubled": {"trouble": ["killed", "none"]}},
        shape={"batch_size": 1, "num_heads": 1, "seq_len": [16, 17], "head_dim": 8},
        metrics=["turns"],
    )
    assert bench.run(plugins=("troubled", "turns")).code == 4
    found = {(r.case.shape.seq_len, r.case.params["trouble"]): r.status for r in bench.records()}
    assert found == {(n, t): s for n in (16, 17) for t, s in (("killed", "error"), ("none", "ok"))}


def test_counts_that_disagree_or_are_zero_stop_nothing(bench: Bench) -> None:
    bench.suite(
        attention={"troubled": {"trouble": ["wrong_count", "no_products"]}},
        metrics=["flops", "latency"],
    )
    assert bench.run(plugins=("troubled",)).code == 4
    found = {(r.case.params["trouble"], r.metric): r for r in bench.records()}
    assert (found["wrong_count", "flops"].reason or "").startswith("CountsDifferError")
    assert found["wrong_count", "latency"].status == "ok"
    assert found["no_products", "latency"].detail["flops"] == 0
    assert found["no_products", "flops"].values == [0]
