"""Lines beyond what was tried, the machine's memory, and marks that say how far to trust a point.

Mutants seen red: the continuation left out, begun at a tried length, of both modes at once; latency
stretched to the predicted lengths; the level line where nothing exceeds it; the first GPU's memory
for the second; the bytes asked taken as the height; a failure without its case's prediction;
launch-bound drawn like any mark; the drift of one process overlooked; the load of other runs; cells
never tried called not measured; predictions left out of the CSV; too many names on the axis.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from drawing import assert_readable, drawn, marks, texts, threads
from synthetic_records import MODES, case, counted, record, suite, timed

from softbench.case import Case, Record
from softbench.reports import _machine, scaling
from softbench.reports._groups import groups
from softbench.reports._guides import GREY
from softbench.reports._style import CORE, POINT_SIZE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TRIED, FAR = (196, 784), (12544, 1048576)


def bytes_of(of: Case) -> int:
    return of.shape.seq_len ** (2 if of.attention == "softmax" else 1) * 4096


def predicted(of: Case) -> list[Record]:
    return counted(of, "predicted_peak_memory", bytes_of(of)) + counted(of, "flops", bytes_of(of))


def sweep(attention: str = "soft", **changes: Any) -> list[Record]:
    """Measured at two lengths, predicted at two more."""
    tried = [case(attention, n, **changes) for n in TRIED]
    measured = [
        made
        for of in tried
        for made in (*timed(of, of.shape.seq_len * 1e-6), *counted(of, "peak_memory", bytes_of(of)))
    ]
    every = [*tried, *(case(attention, n, **changes) for n in FAR)]
    return [*measured, *(one for of in every for one in predicted(of))]


def test_predicted_bytes_go_on_from_the_last_measured_length_and_latency_does_not() -> None:
    latency, memory, flops = drawn(sweep()).axes
    assert threads(memory) == [[(n, n * 4096.0) for n in (784, *FAR)]]
    assert threads(latency) == threads(flops) == []
    assert latency.get_xlim()[1] < 1000
    assert memory.get_xlim()[1] > 1048576
    assert [x for x, _ in marks(flops, CORE["soft"].marker)] == [*TRIED, *FAR]
    assert [x for x, _ in marks(memory, CORE["soft"].marker)] == list(TRIED)
    assert memory.get_ylim()[1] > 1048576 * 4096


def test_the_thread_is_explained_once() -> None:
    both = [*sweep(), *sweep("softmax")]
    assert texts(drawn(both)).count("predicted") == 1
    assert "predicted" not in texts(drawn(timed(case(), 1e-3)))


def test_a_mode_keeps_to_its_own_predictions() -> None:
    records = [*sweep(), *sweep("soft", mode="forward_backward")]
    found = [threads(axes) for axes in drawn(records).axes]
    assert [len(lines) for lines in found] == [0, 0, 1, 1, 0, 0]
    assert [len(lines[0]) for lines in found[2:4]] == [1 + len(FAR)] * 2


def test_the_machines_memory_is_a_level_line_where_a_prediction_exceeds_it() -> None:
    def levels(axes: Axes) -> list[float]:
        lines = [line for line in axes.get_lines() if line.get_color() == GREY]
        ends = [np.asarray(line.get_ydata(), dtype=float) for line in lines]
        return [float(ys[0]) for ys in ends if len(ys) == 2 and ys[0] == ys[-1]]

    small, large = drawn(sweep(), memory=2**30), drawn(sweep(), memory=2**40)
    assert [levels(axes) for axes in small.axes] == [[], [2.0**30], []]
    assert "this machine's memory, 1.00 GiB" in texts(small)
    assert [levels(axes) for axes in large.axes] == [[], [], []]
    assert "memory," not in texts(large)


@pytest.mark.parametrize(
    ("device", "memory"), [("cpu", 1), ("cuda", 2), ("cuda:1", 3), ("cuda:2", None), ("meta", None)]
)
def test_each_device_has_its_own_memory(device: str, memory: int | None) -> None:
    facts = {"memory": 1, "gpus": [{"memory": 2}, {"memory": 3}]}
    assert _machine.memory(device, facts) == memory
    assert _machine.memory(device, {}) is None


def test_what_ran_out_of_memory_stands_at_its_prediction_and_not_at_what_was_asked() -> None:
    far: dict[str, Any] = {"status": "out_of_memory", "reason": "asked for 5 bytes"}
    told = record(case("softmax", 784), "peak_memory", **far, predicted=7e9, asked=5, free=4)
    untold = record(case("soft", 784), "peak_memory", **far, asked=5)
    measured = counted(case("soft", 196), "peak_memory", 2**20)
    (memory,) = drawn([told, untold, *measured]).axes
    assert (784, 7e9) in marks(memory, "x")
    assert next(y for _, y in marks(memory, "x") if y != 7e9) < 1  # at the edge: not known
    counts = counted(case("soft", 784), "predicted_peak_memory", 2**33)
    (memory,) = drawn([told, untold, *measured, *counts]).axes
    assert sorted(marks(memory, "x")) == [(784, 7e9), (784, 2.0**33)]


def test_a_launch_bound_mark_is_open_and_said_to_be() -> None:
    bound = timed(case(seq_len=196), 1e-3, launch_bound=True)
    figure = drawn([*bound, *timed(case(seq_len=784), 1e-3)])
    (axes,) = figure.axes
    opened = [
        line
        for line in axes.get_lines()
        if line.get_marker() == CORE["soft"].marker and line.get_markerfacecolor() == "white"
    ]
    assert [list(np.asarray(line.get_xdata())) for line in opened] == [[196]]
    assert "launch-bound, in no fit" in texts(figure)
    assert "launch-bound" not in texts(drawn(timed(case(), 1e-3)))


def test_drift_is_counted_in_the_caption_and_in_no_other_cell() -> None:
    steady, shaken = timed(case(seq_len=196), 1e-3), timed(case(), 1e-3)
    shaken[1] = record(case(), values=[1e-3] * 3, repeat=1, tags=["drift"])
    said = texts(drawn([*steady, *shaken]))
    assert "In 1 of 2 timed cells the machine's speed drifted while they were measured." in said
    assert "drifted" not in texts(drawn(steady))


def test_the_load_when_the_runs_began_is_said(tmp_path: Path) -> None:
    runs = [{"id": "i0", "load": [0.52, 9, 9]}, {"id": "other", "load": [7.0, 9, 9]}]
    told = "\n".join(["{broken", "[]", *map(json.dumps, runs)])
    (tmp_path / _machine.INVOCATIONS).write_text(told)
    (group,) = groups(timed(case(), 1e-3))
    assert _machine.facts(tmp_path, group) == {"load": [0.52]}
    assert _machine.facts(tmp_path / "none", group) == {"load": []}
    assert "Load at the start of the run: 0.5 on 2 cores." in texts(
        drawn(timed(case(), 1e-3), load=[0.52], cores=2)
    )
    both = texts(drawn(timed(case(), 1e-3), load=[2.1, 0.5]))
    assert "Load at the start of 2 runs: 0.5 to 2.1." in both
    assert "Load" not in texts(drawn(counted(case(), "flops", 3), load=[0.5]))


def test_only_what_was_tried_counts_as_not_measured() -> None:
    lost = record(case("softmax", 784), "peak_memory", status="skipped", reason="b", predicted=1e9)
    assert "Not measured: 1 skipped of 3 cells." in texts(drawn([*sweep(), lost]))


def test_every_prediction_drawn_is_a_row_of_the_csv(tmp_path: Path) -> None:
    *_, table = scaling.render(sweep(), tmp_path)
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    told = [row["seq_len"] for row in rows if row["quantity"] == "predicted_peak_memory"]
    assert told == [str(n) for n in (*TRIED, *FAR)]


def test_nothing_overlaps_at_a_million_tokens() -> None:
    records = suite([(name, "eager") for name in CORE])
    records += [one for name in CORE for mode in MODES for one in predicted(case(name, FAR[1]))]
    assert_readable(drawn(records, memory=2**34, cores=2, load=[1.0]), POINT_SIZE)
