"""A plan's rows, table and summary, of what a worker is made to say.

Mutants seen red: a case without device told as running, the meta device timed, an estimate without
the device, a word among the columns, what does not vary shown, lines wider than a page, blocks in
the order of the alphabet, an overrun kept quiet, what would be skipped counted as too large where
it is too slow, units of thousands for bytes.
"""

from __future__ import annotations

from typing import Any

import pytest

from softbench.case import Case
from softbench.cli.plan_rows import Row, rows_of
from softbench.cli.plan_table import WIDTH, summary, table
from softbench.cli.quantities import clock, mebi, scaled, timed
from softbench.environment import Environment
from softbench.run import Ledger
from softbench.run.estimate import Estimate, Pace
from softbench.suite import Suite, expand, parse

MACHINE = Environment(
    system="none", cpu="none", cores=1, memory=1, gpus=[], driver=None, cuda=None, python="3",
    libraries={}, threads=1, softbench="0",
)  # fmt: skip
PACE = Pace(start=1.0, rates=1.0, trace=0.1, first_trace=1.0)


def suite(**changes: Any) -> Suite:
    plain = {
        "shape": {"seq_len": [16, 25]}, "attention": {"softmax": {}},
        "metrics": ["latency", "flops"],
    }  # fmt: skip
    return parse({**plain, **changes}, "told", "told.yaml")


def plan(
    given: Suite, status: str = "run", **says: Any
) -> tuple[list[Case], list[Row], Estimate | None]:
    """Rows of a suite of whose every case the worker says the same."""
    cases = expand(given, "cpu")
    cost = {"flops": 10**6, "bytes": 2**20, "held_bytes": 2**20}
    time = {"seconds": 0.002, "fits": True, "besides": {"latency": 0.0}}
    event = {"status": status, "reason": None, **cost, **time, **says}
    planned = {case.id: event for case in cases}
    ledger = Ledger([], given.budget)
    return cases, *rows_of(cases, given, ledger, MACHINE, planned, PACE)


def lines(given: Suite, **says: Any) -> list[str]:
    return list(table(plan(given, **says)[1]))


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, "run"),
        ({"device": "cuda"}, None),
        ({"device": "meta"}, "counted"),
        ({"device": "meta", "metrics": ["latency"]}, "unsupported"),
        ({"metrics": ["flops"]}, "counted"),
        ({"predict_seq_len": 36}, "counted"),
    ],
)
def test_what_becomes_of_a_case(changes: dict[str, Any], status: str | None) -> None:
    cases, rows, _ = plan(suite(**changes))
    assert [row.case for row in rows] == cases
    assert rows[-1].status == status


def test_an_estimate_is_made_where_every_device_is_here() -> None:
    _, rows, told = plan(suite(device=["cpu", "cuda"]))
    assert told is None
    assert {row.seconds for row in rows} == {None}
    _, rows, told = plan(suite())
    assert told is not None
    assert all(row.seconds == told.cases[row.case.id] > 0 for row in rows)


def test_a_block_a_mechanism_and_a_line_a_length() -> None:
    attention = {"softmax": {"backend": ["sdpa", "eager"]}, "performer": {}, "linformer": {}}
    told = lines(suite(attention=attention))
    blocks = [line for line in told if not line.startswith(" ")]
    assert blocks == [
        "softmax/sdpa, forward",
        "softmax/eager, forward",
        "performer/eager, forward",
        "linformer/eager, forward",
    ]
    assert told[0].split() == ["tokens", "FLOPs", "memory", "a", "call", "in", "this", "run"]
    assert told[2].split()[:7] == ["16", "1", "M", "1", "MiB", "2", "ms"]
    assert len(told) == 1 + 4 * 3


def test_numbers_that_vary_are_columns_and_words_are_headings() -> None:
    soft = {"inverse": ["newton", "cholesky"], "num_landmarks": [4, 9]}
    told = lines(suite(attention={"soft": soft, "softmax": {}}, inputs=["normal", "smooth"]))
    assert told[0].split()[:2] == ["num_landmarks", "tokens"]
    assert told[1] == "soft/eager, forward, inverse newton, inputs normal"
    assert told[2].split()[:2] == ["4", "16"]
    at = told.index("softmax/eager, forward, inputs normal")
    assert told[at - 1].split()[0] == "tokens"  # other columns, other titles


@pytest.mark.parametrize(
    ("says", "ending"),
    [
        ({"status": "skipped", "reason": "needs 40 GiB"}, "skipped: needs 40 GiB"),
        ({"status": "unsupported", "reason": "no"}, "unsupported: no"),
        ({"reason": "5 calls of it"}, "s: 5 calls of it"),  # of one metric: the others run
        ({"status": "skipped", "reason": "x" * 300}, "x…"),
    ],
)
def test_what_would_not_be_measured_says_why(says: dict[str, Any], ending: str) -> None:
    told = lines(suite(), **says)
    assert told[-1].endswith(ending)
    assert max(map(len, told)) <= WIDTH


def said(rows: list[Row], estimate: Estimate | None) -> str:
    return "\n".join(summary(suite(), rows, estimate, MACHINE))


def test_the_summary_counts_and_warns() -> None:
    _, rows, told = plan(suite())
    assert "told: 2 cases (2 run), 8 measurements, 0 recorded" in said(rows, told)
    assert "do not fit" not in said(rows, told)
    assert "would be skipped" not in said(rows, told)
    assert "do not fit" not in said(plan(suite(), "skipped")[1], told)
    _, rows, _ = plan(suite(), "skipped", fits=False)
    spent = Estimate({"a": 70.0}, 70.0, 5.0, 65.0, allowed=60.0)
    assert "2 do not fit" in said(rows, spent)
    assert "about 65 s in all, of which 5 s to start workers" in said(rows, spent)
    assert "budget of 60 s is less than its cases take (70 s)" in said(rows, spent)
    assert "nothing is left" in said(rows, Estimate({}, 0.0, 0.0, 0.0, 60.0))
    _, rows, _ = plan(suite(device="cuda:1"))
    assert "there is no cuda:1 here" in said(rows, None)


def test_numbers_are_for_people() -> None:
    assert [scaled(n) for n in (None, 0, 999, 78_675_968, 10**15)] == [
        "?", "0", "999", "78.7 M", "1 P",
    ]  # fmt: skip
    assert [mebi(n) for n in (0, 1023, 2**20, 1023 * 2**20, 2**46)] == [
        "0 B", "1023 B", "1 MiB", "1023 MiB", "64 TiB",
    ]  # fmt: skip
    assert [timed(s) for s in (None, 2e-5, 0.5, 1, 119, 120, 7199, 7200)] == [
        "?", "0.02 ms", "500 ms", "1 s", "119 s", "2 min", "120 min", "2 h",
    ]  # fmt: skip
    assert [clock(s) for s in (0.2, 119.4, 120, 560)] == ["0 s", "119 s", "2 min 0 s", "9 min 20 s"]


@pytest.mark.usefixtures("small_vit")
def test_what_varies_of_a_model_is_told_and_its_length_are_the_tokens() -> None:
    model = {"name": "small_vit", "depth": [1, 2], "image_size": [32, 64]}
    given = suite(level="model", model=model, shape={}, attention={"softmax": {}})
    told = lines(given)
    assert told[0].split()[:2] == ["depth", "tokens"]
    assert sorted(line.split()[0:2] for line in told[2:]) == [
        ["1", "256"], ["1", "64"], ["2", "256"], ["2", "64"],
    ]  # fmt: skip
