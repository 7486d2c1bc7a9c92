"""A case that goes wrong costs only itself: one record that says how, and the sweep goes on.

Mutants seen red: only ValueErrors caught, the allocator's error taken for a failure, standard
output left to what is measured, a hang called an error, division by a count of zero, no cap, a cap
that is not lifted, nothing known of a case that lost its worker, what was predicted in no unit.
"""

from __future__ import annotations

import pytest

from run.commands import Bench
from softbench.case import Record
from softbench.run.crew import in_unit

EXPECTED = {
    "raises": ("error", "ValueError: two and two"),
    "exits": ("error", "the worker exited with code 1; its last words: enough of this"),
    "leaves": ("error", "the worker exited with code 7"),
    "killed": ("error", "killed by SIGKILL"),
    "crashes": ("error", "killed by SIGSEGV"),
    "interrupts": ("error", "the worker exited with code"),
    "memory": ("out_of_memory", "ran out of memory; "),
    "allocator": ("out_of_memory", "asked for 2 EiB; "),
    "hoards": ("out_of_memory", "asked for 16 MiB; "),
    "terminates": ("out_of_memory", "killed by SIGABRT; its last words: what():  std::bad_alloc"),
    "loops": ("timeout", "did not move for 2 s"),
    "holds": ("timeout", "did not move for 2 s"),
    "begets": ("timeout", "did not move for 2 s"),
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


def of(troubles: list[Record], trouble: str) -> Record:
    """The record of its turns."""
    found = [r for r in troubles if (r.metric, r.case.params.get("trouble")) == ("turns", trouble)]
    return found[0]


def test_out_of_memory_says_what_was_asked_left_allowed_and_predicted(
    troubles: list[Record],
) -> None:
    found = of(troubles, "hoards").detail
    assert found["asked"] == 2**24
    assert 0 <= found["free"] < 2**25 < found["cap"]
    assert found["predicted_bytes"] == 2 * 4 * 8 * 16 - 4 * 8 * 8  # a product in a product
    assert "DefaultCPUAllocator" in found["message"]
    assert of(troubles, "allocator").detail["asked"] == 2**61
    assert "asked" not in of(troubles, "memory").detail


@pytest.mark.parametrize("trouble", ["killed", "crashes", "leaves", "loops", "terminates"])
def test_what_lost_its_worker_says_what_was_free_allowed_and_predicted(
    troubles: list[Record], trouble: str
) -> None:
    found = of(troubles, trouble).detail
    assert found["predicted_bytes"] == of(troubles, "hoards").detail["predicted_bytes"]
    assert found["free"] > found["cap"] > 2**25
    assert found["cap"] == pytest.approx(0.7 * found["free"], rel=1e-6)


def test_what_was_predicted_is_told_in_the_unit_of_the_quantity_and_in_bytes() -> None:
    known = {"s": 0.5, "byte": 7, "free": 9}
    assert in_unit(known, "s") == {"predicted": 0.5, "predicted_bytes": 7, "free": 9}
    assert in_unit(known, "byte") == {"predicted": 7, "predicted_bytes": 7, "free": 9}
    assert in_unit(known, "1") == {"predicted_bytes": 7, "free": 9}
    assert in_unit({"limit": 3}, "s") == {"limit": 3}


def test_a_worker_that_was_refused_memory_goes_on(bench: Bench) -> None:
    bench.suite(
        attention={"troubled": {"trouble": ["hoards", "none"]}},
        shape={"batch_size": 1, "num_heads": 1, "seq_len": [16, 17], "head_dim": 8},
        metrics=["turns"],
    )
    assert bench.run(plugins=("troubled", "turns")).code == 0
    found = bench.records()
    statuses = [r.status for r in found if r.case.params["trouble"] == "hoards"]
    assert statuses == ["out_of_memory"] * 2
    assert len({r.detail["pid"] for r in found if r.status == "ok"}) == 1


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
