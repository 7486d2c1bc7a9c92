"""An outcome as people and machines see it: nothing that is no pass reads like one.

Mutants seen red: names unescaped in Markdown, in workflow commands, in XML; newlines let through to
a terminal; rows cut without a word; a limit that counts no rows; passing cells before the others;
the verdict not in the first line; a policy of warn that annotates errors; annotations beyond ten
dropped; an empty JUnit; inconclusive told as a pass.
"""

from __future__ import annotations

import itertools
from xml.etree import ElementTree

import pytest
from gate_cases import case
from test_outcome import change, counted, outcome, timed

from softbench.gate import words
from softbench.gate.annotations import commands
from softbench.gate.junit import junit
from softbench.gate.markdown import LIMIT, markdown
from softbench.gate.outcome import Change, Outcome, Trouble
from softbench.gate.publish import publish
from softbench.gate.terminal import lines

HOSTILE = "</code>|`**@someone**`\n::error::x [l](https://a.b) \x1b[31m\x00 <img src=x> %0A"
TROUBLE = Trouble(kind="missing", name="a cell", reason="gone", remedy="bring it back")
VERDICTS = {
    "pass": outcome(timed=timed("pass"), counted=counted()),
    "regression": outcome(timed=timed("pass", "regression"), counted=counted()),
    "inconclusive": outcome(timed=timed("pass", "inconclusive"), counted=counted()),
    "error": outcome(timed=timed("pass"), counted=counted(), troubles=[TROUBLE]),
}


def hostile() -> Outcome:
    """Every text that a fork may choose is hostile."""
    found = timed("regression", "inconclusive", "pass")
    cells = [cell.model_copy(update={"name": f"{HOSTILE} {cell.name}"}) for cell in found.cells]
    changes = [change(3, 4).model_copy(update={"name": HOSTILE, "operators": {HOSTILE: (1, 2)}})]
    troubles = [Trouble(kind="failed", name=HOSTILE, reason=HOSTILE, remedy=HOSTILE)]
    layers = {"timed": found.model_copy(update={"cells": cells, "base": HOSTILE})}
    return outcome(**layers, counted=counted(*changes), troubles=troubles, suite=HOSTILE)


@pytest.mark.parametrize("name", VERDICTS)
def test_the_verdict_leads_every_page_and_only_a_pass_says_pass(name: str) -> None:
    found = VERDICTS[name]
    title = words.TITLES[found.verdict]
    assert markdown(found).splitlines()[2].startswith(title)
    last = list(lines(found))[-1]
    assert last.startswith(f"ci: {title}: ")
    for page in (last, markdown(found).splitlines()[0] + markdown(found).splitlines()[2]):
        assert ("Pass" in page or "✅" in page) == (name == "pass")
    whole = ElementTree.fromstring(junit(found))[0][0]
    assert (len(whole) == 0) == (name == "pass")


def test_the_first_line_says_what_was_found_and_what_to_do() -> None:
    found = outcome(
        timed=timed("regression", "regression", "inconclusive"),
        counted=counted(change(3, 4), change(4, 3)),
        troubles=[TROUBLE],
    )
    told = words.headline(found)
    for part in (
        "Regression: 2 of 3 cells slower",
        "1 count not as in the baseline",
        "1 problem",
        "1 count lower than the baseline says",
        "1 of 3 cells not to be told",
    ):
        assert part in told
    assert "This is no pass" in words.headline(VERDICTS["inconclusive"])
    assert "This is no pass" in words.headline(VERDICTS["error"])
    assert words.headline(outcome()).startswith("Not compared: nothing was compared.")
    passed = words.headline(VERDICTS["pass"])
    assert (
        passed == "Pass: none of 1 cell is slower by 10 %; 3 cases with the counts of the baseline."
    )


@pytest.mark.parametrize(
    ("ratio", "told"),
    [
        (1.0, "0.0 %"), (0.99999, "0.0 %"), (1.0312, "+3.1 %"), (0.9, "-10.0 %"),
        (2.5, "+150 %"), (4.0, "×4"), (100.0, "×100 or more"),
    ],
)  # fmt: skip
def test_a_ratio_is_told_as_a_change(ratio: float, told: str) -> None:
    assert words.percent(ratio) == told


@pytest.mark.parametrize(
    ("seconds", "told"), [(2.0, "2 s"), (1.5e-3, "1.5 ms"), (2.5e-5, "25 µs"), (3e-9, "3 ns")]
)
def test_a_time_has_a_unit_that_keeps_it_readable(seconds: float, told: str) -> None:
    assert words.seconds(seconds) == told


def test_counts_are_told_from_what_to_what() -> None:
    flops = Change(
        case=case(), name="c", quantity="dispatched_flops", unit="FLOP", before=1000, after=1500
    )
    assert words.from_to(flops) == "1,000 → 1,500 FLOP (+500, +50.0 %)"
    assert words.from_to(change(0, 2)) == "0 → 2 (+2)"
    assert words.from_to(change("flash", "math")) == "flash → math"


def test_the_worst_cells_come_first_everywhere() -> None:
    found = outcome(timed=timed("pass", "inconclusive", "regression"))
    rows = [line for line in lines(found) if " cell " in line and "N" not in line][1:]
    assert [row.split()[0] for row in rows] == ["regression", "inconclusive", "pass"]
    text = markdown(found)
    places = [text.index(f"cell {number}") for number in (2, 1, 0)]
    assert places == sorted(places)
    assert text.index("<details>") < places[2]


def test_columns_of_the_terminal_are_aligned() -> None:
    found = list(lines(outcome(timed=timed("pass", "regression"))))
    starts = {line.index("cell") for line in found[1:4]}
    assert len(starts) == 1


def test_hostile_names_stay_names_in_markdown() -> None:
    text = markdown(hostile())
    for sign in ("<img", "|`", "**@", "[l]", "https://", "::error", "\x1b", "\x00", "@someone"):
        assert sign not in text
    rows = [line for line in text.splitlines() if line.startswith("| ") and "---" not in line]
    widths = {line.count("|") for line in rows}
    assert widths <= {5, 6, 9}  # troubles, counts, timing: as many as their headings


def test_hostile_names_forge_no_workflow_command() -> None:
    told = list(commands(hostile()))
    assert any("%250A" in line for line in told)
    for line in told:
        assert line.count("::") >= 2
        assert line.startswith(("::error title=", "::warning title=", "::notice title="))
        assert not {"\n", "\r"} & set(line)


def test_hostile_names_neither_break_the_terminal_nor_the_xml() -> None:
    for line in lines(hostile()):
        assert line.isprintable()
    root = ElementTree.fromstring(junit(hostile()))
    names = [one.get("name", "") for one in root.iter("testcase")]
    assert any("<img src=x>" in name for name in names)


def test_rows_without_room_are_counted_and_none_is_cut() -> None:
    many = outcome(timed=timed(*["regression"] * 900, *["pass"] * 400))
    for limit in (10_000, LIMIT):
        text = markdown(many, limit)
        assert len(text) <= limit
        rows = sum(line.startswith(("| ❌ regression", "| ✅ pass")) for line in text.splitlines())
        left = sum(int(line.split()[2]) for line in text.splitlines() if line.startswith("… and"))
        assert rows + left == 1300
        assert text.count("<details>") == text.count("</details>") == 1
        assert "900 of 1,300 cells slower" in text


@pytest.mark.parametrize(
    ("policy", "level"), [("fail", "error"), ("warn", "warning"), ("pass", "notice")]
)
def test_what_is_inconclusive_is_annotated_as_the_policy_says(policy: str, level: str) -> None:
    found = outcome(timed=timed("inconclusive"), inconclusive=policy)
    (told,) = commands(found)
    assert told.startswith(f"::{level} title=Inconclusive%2C not a pass::")


def test_a_regression_is_an_error_whatever_the_policy() -> None:
    found = outcome(timed=timed("regression"), counted=counted(change(3, 4)), inconclusive="pass")
    levels = [line.partition(" ")[0] for line in commands(found)]
    assert levels == ["::error", "::error"]


def test_no_annotation_is_lost_in_silence() -> None:
    told = list(commands(outcome(timed=timed(*["regression"] * 25))))
    assert len(told) == 10
    assert "and 16 more findings" in told[-1]
    assert len(list(commands(outcome(timed=timed(*["regression"] * 10))))) == 10
    assert list(commands(VERDICTS["pass"])) == []
    (nothing,) = commands(outcome())
    assert nothing.startswith("::error ")


@pytest.mark.parametrize("policy", ["fail", "warn", "pass"])
def test_junit_counts_what_it_holds(policy: str) -> None:
    cells = timed("pass", "regression", "inconclusive")
    found = outcome(
        timed=cells, counted=counted(change(3, 4)), troubles=[TROUBLE], inconclusive=policy
    )
    (suite,) = ElementTree.fromstring(junit(found))
    tests = list(suite)
    kinds = [child.tag for test in tests for child in test if child.tag != "properties"]
    tolerated = "failure" if policy == "fail" else "skipped"
    assert sorted(kinds) == sorted(["failure", "failure", tolerated, "failure", "error"])
    assert suite.get("tests") == str(len(tests)) == "7"
    for tag, attribute in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        assert suite.get(attribute) == str(kinds.count(tag))
    properties = {one.get("name"): one.get("value") for one in suite.iter("property")}
    assert properties["detectable"] == "1.05"


def test_a_junit_file_is_never_empty() -> None:
    for verdict, found in itertools.chain(VERDICTS.items(), [("error", outcome())]):
        (suite,) = ElementTree.fromstring(junit(found))
        assert suite[0].get("classname") == "softbench.gate"
        assert (len(suite[0]) > 0) == (verdict != "pass")


def test_nothing_is_published_unasked() -> None:
    found = VERDICTS["regression"]
    assert publish(found, markdown_file=None, junit_file=None, environment={}) == []
    summary = {"GITHUB_STEP_SUMMARY": "/nowhere/at/all"}
    assert publish(found, markdown_file=None, junit_file=None, environment=summary) == []
