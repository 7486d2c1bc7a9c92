"""The scaling figure: what is drawn, where, and that every mark can be traced to its records.

Mutants seen red: a failed cell drawn as measured, the line drawn across a failed cell, the
prediction ignored, an unknown height left out, a quantity's panel kept when it is missing, dates
in the files, text turned to outlines, the user's settings let in, single calls left out, the
records' ids of the wrong point, many cells of unknown height one below the other.
"""

from __future__ import annotations

import csv
import math
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from drawing import assert_readable, drawn, marks, places, texts, threads
from synthetic_records import LENGTHS, case, counted, record, suite, timed

from softbench import plugins
from softbench.reports import scaling
from softbench.reports._guides import GREY
from softbench.reports._style import CORE, POINT_SIZE

CORE_SIX = tuple((name, "eager") for name in CORE)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return scaling.render(suite(), tmp_path_factory.mktemp("scaling"))


@pytest.fixture(scope="module")
def rows(rendered: list[Path]) -> list[dict[str, str]]:
    with rendered[-1].open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_it_is_a_plugin() -> None:
    assert "scaling" in plugins.names("reports")
    assert plugins.load("reports", "scaling") is scaling


def test_four_files_are_written_and_none_is_empty(rendered: list[Path]) -> None:
    assert [path.name for path in rendered] == [
        "scaling.pdf",
        "scaling.svg",
        "scaling.png",
        "scaling.csv",
    ]
    assert all(path.stat().st_size > 1000 for path in rendered)


def test_every_drawn_point_is_traced_to_its_records(rows: list[dict[str, str]]) -> None:
    known = {one.id: one for one in suite()}
    assert len(rows) == 3 * 2 * len(LENGTHS) * 3
    for row in rows:
        sources = [known[id_] for id_ in row["record_ids"].split()]
        assert sources
        assert {(s.case.id, s.metric, str(s.case.shape.seq_len)) for s in sources} == {
            (row["case_id"], row["quantity"], row["seq_len"])
        }
        if row["status"] == "ok" and row["quantity"] == "flops":
            assert float(row["value"]) == sources[0].values[0]


def test_the_svg_keeps_its_text_and_the_same_records_give_the_same_bytes(
    rendered: list[Path], tmp_path: Path
) -> None:
    """Drawn again by another process, with another hash seed, and without torch."""
    assert ">softmax (sdpa)</text>" in rendered[1].read_text()
    (tmp_path / "records").write_bytes(pickle.dumps(suite()))
    code = (
        "import pickle, sys; from pathlib import Path\n"
        "from softbench.reports import scaling, table\n"
        "there = Path(sys.argv[1]); records = pickle.loads((there / 'records').read_bytes())\n"
        "scaling.render(records, there); table.render(records, there)\n"
        "sys.exit('torch' in sys.modules)"
    )
    again = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env={**os.environ, "PYTHONHASHSEED": "3", "SOURCE_DATE_EPOCH": "86400"},
        check=False,
    )
    assert again.returncode == 0
    for path in rendered:
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name


def test_rows_are_modes_and_columns_the_quantities_there_are() -> None:
    whole = drawn(suite(lengths=(196, 784)))
    assert [axes.get_title() for axes in whole.axes] == [
        *("Latency", ""),
        *("Peak memory", ""),
        *("FLOPs", ""),
    ]
    counts = [
        r for r in suite(lengths=(196, 784)) if r.metric in ("flops", "predicted_peak_memory")
    ]
    forward = [r for r in counts if r.case.mode == "forward"]
    assert [axes.get_title() for axes in drawn(forward).axes] == ["FLOPs"]


def test_a_prediction_stands_in_only_where_memory_was_not_measured() -> None:
    of = case(device="meta")
    predicted = counted(of, "predicted_peak_memory", 2**20)
    assert [a.get_title() for a in drawn(predicted).axes] == ["Predicted peak memory"]
    both = [*predicted, *counted(of, "peak_memory", 2**20)]
    assert [a.get_title() for a in drawn(both).axes] == ["Peak memory"]


def test_what_was_not_measured_stands_at_its_predicted_height_and_breaks_the_line() -> None:
    records = [*timed(case(seq_len=196), 1e-3), *timed(case(seq_len=784), 1e-2)]
    lost = record(case(seq_len=400), status="skipped", reason="budget", predicted=0.5)
    (axes,) = drawn([*records, lost]).axes
    assert marks(axes, "o") == [(400, 0.5)]
    heights = dict(marks(axes, CORE["soft"].marker))
    assert heights[196] == pytest.approx(1e-3, rel=0.01)
    assert math.isnan(heights[400])
    assert [[x for x, _ in ends] for ends in threads(axes)] == [[196, 400], [400, 784]]


@pytest.mark.parametrize("status", ["out_of_memory", "timeout", "error", "skipped"])
def test_an_unknown_height_stands_at_the_upper_edge(status: Any) -> None:
    lost = record(case(seq_len=784), status=status, reason="boom")
    figure = drawn([*timed(case(seq_len=196), 1e-3), lost])
    (axes,) = figure.axes
    ((length, height),) = marks(axes, 6)
    assert length == 784
    assert height > 0.95  # in fractions of the panel
    assert "height not known" in texts(figure)


def test_many_of_unknown_height_at_one_length_are_one_mark_and_their_number() -> None:
    def figure(count: int) -> tuple[int, set[str]]:
        names = [f"own{i}" for i in range(count)]
        lost = [record(case(name, 784), status="skipped", reason="budget") for name in names]
        (axes,) = drawn([*timed(case(seq_len=196), 1e-3), *lost]).axes
        return len(marks(axes, "o")), {text.get_text() for text in axes.texts}

    assert figure(3) == (3, set())
    assert figure(5) == (1, {"5 ×"})


def test_failures_are_explained_and_counted_and_the_unsupported_named() -> None:
    lost = record(case("softmax", 784), status="out_of_memory", reason="boom", predicted=1.0)
    cannot = record(case("mine", 784), status="unsupported", reason="needs\n a grid")
    said = texts(drawn([*timed(case(), 1e-3), lost, cannot]))
    assert "out of memory, at its predicted value" in said
    assert "Not measured: 1 out of memory of 3 cells." in said
    assert "Not supported: mine at N = 784 (needs a grid)." in said


def test_the_caption_says_what_the_intervals_are() -> None:
    said = texts(drawn(timed(case(), 1e-3)))
    assert "cpu, float32, operator level, B = 1, H = 8, D = 64." in said
    assert "medians of 3 fresh processes" in said
    assert "95 % t interval" in said
    once = texts(drawn(timed(case(), 1e-3, spread=[1.0])))
    assert "No interval for values from one process." in once
    assert "95 %" not in once


def test_the_interval_is_drawn_from_low_to_high() -> None:
    (axes,) = drawn(timed(case(), 1e-3, spread=(0.5, 1.0, 2.0))).axes
    (bar,) = [c for c in axes.containers if c.get_label() != "" or c]
    (_, _, (segments,)) = bar.lines  # type: ignore[attr-defined]
    (low, high) = segments.get_segments()[0][:, 1]
    assert low == pytest.approx(1e-3 / 5.594, rel=1e-3)
    assert high == pytest.approx(1e-3 * 5.594, rel=1e-3)


def test_calls_too_few_for_an_interval_are_drawn_one_by_one() -> None:
    few = [record(case(), values=[v, 2 * v], repeat=i) for i, v in enumerate((1.0, 1.1, 1.2))]
    figure = drawn(few)
    (axes,) = figure.axes
    assert sorted(y for _, y in marks(axes, ".")) == [1.0, 1.1, 1.2, 2.0, 2.2, 2.4]
    assert "No interval for values of fewer than 3 calls in some process" in texts(figure)


def test_the_guides_have_slopes_one_and_two_and_their_names() -> None:
    (axes,) = drawn([*timed(case(seq_len=196), 1e-3), *timed(case(seq_len=3136), 1e-2)]).axes
    guides = [line for line in axes.get_lines() if line.get_color() == GREY]
    slopes = []
    for guide in guides:
        (x0, y0), *_, (x1, y1) = places(guide)
        slopes.append(math.log(y1 / y0) / math.log(x1 / x0))
    assert slopes == pytest.approx([1, 2])
    assert {text.get_text() for text in axes.texts} == {"∝ N", "∝ N²"}


def test_zero_has_no_place_on_a_logarithmic_axis_and_breaks_nothing() -> None:
    records = [*counted(case(), "peak_memory", 0), *counted(case(seq_len=196), "peak_memory", 9)]
    (axes,) = drawn(records).axes
    assert axes.get_ylim()[0] > 0


@pytest.mark.parametrize("mechanisms", [(("softmax", "eager"), ("soft", "eager")), CORE_SIX])
def test_no_text_is_small_or_lies_over_other_text_or_off_the_page(mechanisms: Any) -> None:
    records = suite(mechanisms)
    records += timed(case("mine_with_a_long_name", 784, params={"alpha": 0.5}), 1e3)
    records.append(record(case("mine", 784), status="unsupported", reason="long words " * 30))
    assert_readable(drawn(records), POINT_SIZE)


def test_settings_that_differ_get_a_figure_each(tmp_path: Path) -> None:
    records = [*timed(case(), 1e-3), *timed(case(dtype="bfloat16"), 1e-3)]
    names = {path.name for path in scaling.render(records, tmp_path / "new")}
    assert {"scaling_bfloat16.pdf", "scaling_float32.svg"} < names
    assert len(names) == 8


def test_nothing_to_plot_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no records"):
        scaling.render([], tmp_path)
    with pytest.raises(ValueError, match="the records hold parameters; scaling shows latency"):
        scaling.render(counted(case(), "parameters", 3), tmp_path)
    only = [record(case(), status="unsupported", reason="no")]
    with pytest.raises(ValueError, match="nothing to plot"):
        scaling.render(only, tmp_path)


def test_the_users_own_settings_are_neither_used_nor_changed(tmp_path: Path) -> None:
    import matplotlib

    with matplotlib.rc_context({"font.size": 30.0, "axes.facecolor": "#FF0000"}):
        scaling.render(timed(case(), 1e-3), tmp_path)
        assert matplotlib.rcParams["font.size"] == 30.0
    assert "#ff0000" not in (tmp_path / "scaling.svg").read_text().lower()
