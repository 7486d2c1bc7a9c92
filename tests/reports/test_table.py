"""The tables: values with intervals, what was lost, what is best, and text that cannot break them.

Mutants seen red: bold by centre alone, a failed cell left blank, escapes left out, the unit's size
forgotten, rows of both modes mixed, lengths at which nothing ran among the others, a float of any
length, one block of rows uncut, type not made smaller, long headings on one line, a prediction
called a count.
"""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from synthetic_records import case, counted, record, suite, timed

from softbench import plugins
from softbench.case import Record
from softbench.reports import _latex, _markdown, table
from softbench.reports._grid import grid
from softbench.reports._groups import groups
from softbench.reports._labels import labels


def rendered(records: list[Record], folder: Path) -> tuple[str, str, list[dict[str, str]]]:
    markdown, latex, long = table.render(records, folder)
    with long.open(encoding="utf-8", newline="") as file:
        return markdown.read_text("utf-8"), latex.read_text("utf-8"), list(csv.DictReader(file))


def cells(markdown: str, row: str) -> list[str]:
    (line,) = [line for line in markdown.splitlines() if line.startswith(row)]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_it_is_a_plugin(tmp_path: Path) -> None:
    assert plugins.load("reports", "table") is table
    paths = table.render(suite(lengths=(196,)), tmp_path / "new")
    assert [path.name for path in paths] == ["table.md", "table.tex", "table.csv"]


def test_values_have_their_interval_and_their_unit(tmp_path: Path) -> None:
    of = case(seq_len=1600)
    records = [
        *timed(of, 0.002, spread=(0.99, 1.0, 1.01)),
        *counted(of, "peak_memory", 3 * 2**20),
        *counted(of, "flops", 1_500_000_000),
        *counted(of, "macs", 750_000_000),
        *counted(of, "parameters", 12_345),
    ]
    markdown, _, _ = rendered(records, tmp_path)
    assert cells(markdown, "| N ") == [
        *("N", "Mechanism", "Latency (ms)", "Peak memory (MiB)"),
        *("FLOPs (GFLOP)", "MACs (G)", "Parameters"),
    ]
    assert cells(markdown, "| 1,600 ") == [
        *("1,600", "SOFT", "2.00 [1.95, 2.05]", "3.00", "1.50", "0.750", "12,345"),
    ]


def test_what_was_lost_says_how_and_what_was_predicted(tmp_path: Path) -> None:
    records = [
        record(case(seq_len=196), status="skipped", reason="budget", predicted=21.3),
        record(case(seq_len=400), status="out_of_memory", reason="boom"),
        record(case(seq_len=784), status="unsupported", reason="needs a grid"),
        record(case(seq_len=784), "peak_memory", status="skipped", reason="b", predicted=2**34),
    ]
    markdown, latex, _ = rendered(records, tmp_path)
    assert cells(markdown, "| 196 ")[2:] == ["skipped (≈ 21.3 s)", "–"]
    assert cells(markdown, "| 400 ")[2] == "out of memory"
    assert cells(markdown, "| 784 ")[2:] == ["not supported", "skipped (≈ 16.0 GiB)"]
    assert "Not supported: SOFT at N = 784 (needs a grid)." in markdown
    assert "out of memory" in latex
    assert "≈: predicted." in markdown


def test_bold_is_what_can_be_told_to_be_best_at_its_length_and_mode(tmp_path: Path) -> None:
    clear = [*timed(case(), 1e-3), *timed(case("softmax"), 5e-3)]
    unclear = [*timed(case(seq_len=196), 1e-3), *timed(case("softmax", 196), 1.01e-3)]
    other = timed(case(mode="forward_backward"), 1e-4)
    markdown, latex, _ = rendered([*clear, *unclear, *other], tmp_path)
    forward, both = markdown.split("## Forward + backward")
    assert cells(forward, "| 784 | SOFT")[2].startswith("**1.0")
    assert "**" not in cells(forward, "| 784 | softmax")[2]
    assert "**" not in cells(forward, "| 196 | SOFT")[2] + cells(forward, "| 196 | soft")[2]
    assert "**" not in both.split("Values:")[0]
    assert latex.count(r"\textbf{") == 1


def test_higher_is_better_where_the_record_says_so(tmp_path: Path) -> None:
    low = [record(case(), "accuracy", [0.5] * 3, repeat=i, better="higher") for i in range(3)]
    high = [
        record(case("softmax"), "accuracy", [0.9] * 3, repeat=i, better="higher") for i in range(3)
    ]
    markdown, _, _ = rendered([*low, *high], tmp_path)
    assert cells(markdown, "| 784 | softmax")[2].startswith("**0.9")


def test_the_csv_is_long_in_si_units_with_ids(tmp_path: Path) -> None:
    records = suite(lengths=(784, 50176))
    _, _, rows = rendered(records, tmp_path)
    ids = {one.id for one in records}
    assert len(rows) == 2 * 2 * 3 * 4
    assert {id_ for row in rows for id_ in row["record_ids"].split()} == ids
    latency = [row for row in rows if row["quantity"] == "latency" and row["status"] == "ok"]
    assert all(float(r["low"]) < float(r["value"]) < float(r["high"]) for r in latency)
    assert {row["unit"] for row in rows} == {"s", "byte", "FLOP", "MAC"}


def test_the_footer_says_how_the_numbers_came_about(tmp_path: Path) -> None:
    markdown, latex, _ = rendered(suite(lengths=(784,)), tmp_path)
    for said in ("3 fresh processes", "t interval on the log medians", "cpu, float32"):
        assert said in markdown
        assert said in latex


def test_settings_get_a_section_each(tmp_path: Path) -> None:
    records = [*timed(case(), 1e-3), *timed(case(dtype="bfloat16"), 1e-3)]
    markdown, latex, _ = rendered(records, tmp_path)
    assert "## Forward, bfloat16" in markdown
    assert "## Forward, float32" in markdown
    assert r"\label{tab:table-bfloat16-forward}" in latex


def test_names_cannot_break_a_table(tmp_path: Path) -> None:
    nasty = "a_b|c&d%e#f$g{h}~^\\i"
    records = [*timed(case(nasty), 1e-3), *timed(case("Αθήνα"), 1e-3)]
    markdown, latex, _ = rendered(records, tmp_path)
    rows = [line for line in markdown.splitlines() if line.startswith("| 784")]
    assert all(line.replace("\\|", "").count("|") == 4 for line in rows)
    body = [line for line in latex.splitlines() if line.endswith(r"\\") and "mathbf" not in line]
    assert all(line.replace(r"\&", "").count("&") == 2 for line in body)
    assert all(ord(letter) < 0x180 for letter in latex)
    assert latex.count("{") - latex.count(r"\{") == latex.count("}") - latex.count(r"\}")


@pytest.mark.parametrize(
    ("text", "latex", "markdown"),
    [
        ("my_attention", r"my\_attention", r"my\_attention"),
        ("50 %", r"50 \%", "50 %"),
        ("3×3", r"3$\times$3", "3×3"),
        ("a|b", r"a\textbar{}b", r"a\|b"),
        ("Nyströmformer", "Nyströmformer", "Nyströmformer"),
        ("⌊x", "(left floor)x", "⌊x"),
    ],
)
def test_escapes(text: str, latex: str, markdown: str) -> None:
    assert _latex.escape(text) == latex
    assert _markdown.escape(text) == markdown


def test_latex_keeps_to_booktabs(tmp_path: Path) -> None:
    _, latex, _ = rendered(suite(lengths=(196, 784)), tmp_path)
    for rule in (r"\toprule", r"\midrule", r"\bottomrule", r"\begin{tabular}{rlrrrr}"):
        assert rule in latex
    assert "hline" not in latex
    assert latex.count(r"\begin{table*}") == latex.count(r"\end{table*}") == 2


def test_lengths_at_which_nothing_ran_have_a_table_of_their_own(tmp_path: Path) -> None:
    far = case(seq_len=1048576)
    records = [
        *timed(case(), 1e-3),
        *counted(case(), "flops", 10**9),
        *counted(far, "flops", 10**12),
        *counted(far, "predicted_peak_memory", 2**30),
    ]
    markdown, latex, _ = rendered(records, tmp_path)
    ran, counts = markdown.split("## ")[1:]
    assert ran.startswith("Forward\n")
    assert "1,048,576" not in ran
    assert counts.startswith("Forward, counted and predicted where nothing ran\n")
    assert cells(counts, "| 1,048,576 ")[2:] == ["1,024", "1,000"]
    assert "Every value is an exact count or a prediction." in counts
    assert r"\label{tab:table-forward-counted}" in latex
    alone = rendered(counted(far, "flops", 10**12), tmp_path)[0]
    assert alone.startswith("## Forward\n")


def test_a_table_longer_than_a_page_goes_on_in_another_float(tmp_path: Path) -> None:
    records = [r for n in range(1, 60) for r in counted(case(seq_len=n), "flops", n)]
    _, latex, _ = rendered(records, tmp_path)
    first, second = latex.split(r"\end{table")[:2]
    assert first.count(r"\midrule") == _latex.MOST_ROWS
    assert r"\caption{Forward, continued.}" in second
    assert r"\label{tab:table-forward-2}" in second
    assert second.count(r"\midrule") == 59 - _latex.MOST_ROWS
    variants = [case(params={"num_landmarks": m}) for m in range(60)]
    _, latex, _ = rendered([r for of in variants for r in counted(of, "flops", 1)], tmp_path)
    assert latex.count(r"\begin{tabular}") == 2


def test_a_wide_table_is_set_in_type_that_fits_the_page(tmp_path: Path) -> None:
    wide = [r for r in suite(lengths=(196, 50176)) if r.case.mode == "forward"]
    for metric in ("predicted_peak_memory", "macs_with_newton"):
        wide += counted(case("softmax", 196), metric, 2**30)
    (group,) = groups(wide)
    whole = grid(group.points, labels(group.series))
    size, apart = _latex.type_of(whole)
    assert size == "footnotesize"
    assert _latex.width(whole, 8.0, apart) <= _latex.PAGE_POINTS < _latex.width(whole, 9.0, 6)
    _, latex, _ = rendered(wide, tmp_path)
    assert rf"\centering\{size}\setlength{{\tabcolsep}}{{{apart}pt}}" in latex
    assert r"\shortstack[r]{Predicted peak\\memory (MiB)}" in latex
    _, narrow, _ = rendered(counted(case(), "flops", 1), tmp_path)
    assert r"\begin{table}" in narrow
    assert r"\small" in narrow


def test_nothing_at_all_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no records"):
        table.render([], tmp_path)
