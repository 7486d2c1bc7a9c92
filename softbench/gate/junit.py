"""An outcome as JUnit XML: a test case for each timed cell, each changed count, each problem.

The first test case is the gate itself, so that no empty file is ever read as green.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree

from softbench.gate import words
from softbench.gate.outcome import Outcome, TimedCell


@dataclass(frozen=True)
class Test:
    """One test case; kind: failure, error or skipped, None for a pass."""

    group: str
    name: str
    kind: str | None = None
    message: str = ""
    properties: tuple[tuple[str, str], ...] = ()


def junit(outcome: Outcome) -> str:
    """The document, with its declaration."""
    tests = [_whole(outcome), *_timed(outcome), *_counted(outcome), *_troubles(outcome)]
    kinds = Counter(test.kind for test in tests)
    numbers = {
        "tests": str(len(tests)),
        "failures": str(kinds["failure"]),
        "errors": str(kinds["error"]),
        "skipped": str(kinds["skipped"]),
    }
    root = ElementTree.Element("testsuites", {"name": "softbench gate", **numbers})
    suite = ElementTree.SubElement(root, "testsuite", {"name": _xml(outcome.suite), **numbers})
    for test in tests:
        suite.append(_element(test))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _whole(outcome: Outcome) -> Test:
    kinds = {0: None, 1: "failure", 3: "failure", 4: "error"}
    return Test("gate", "the whole suite", kinds[outcome.code], words.headline(outcome))


def _timed(outcome: Outcome) -> Iterator[Test]:
    tolerated = "failure" if outcome.inconclusive == "fail" else "skipped"
    kinds = {"pass": None, "regression": "failure", "inconclusive": tolerated, "error": "error"}
    for cell in outcome.timed.cells if outcome.timed else ():
        told = f"{cell.verdict}: {words.percent(cell.ratio)}, {words.interval(cell)}"
        yield Test("timing", cell.name, kinds[cell.verdict], told, _properties(cell))


def _properties(cell: TimedCell) -> tuple[tuple[str, str], ...]:
    fields = ("base_seconds", "ratio", "low", "high", "tenth_ratio", "median_ratio", "detectable")
    return tuple((name, repr(getattr(cell, name))) for name in fields)


def _counted(outcome: Outcome) -> Iterator[Test]:
    if not outcome.counted:
        return
    for change in outcome.counted.changes:
        kind = "failure" if change.verdict == "regression" else "error"
        told = f"{words.from_to(change)} {words.operators(change)}".rstrip()
        yield Test("counts", f"{change.name} {change.quantity}", kind, told)
    changed = {change.name for change in outcome.counted.changes}
    same = outcome.counted.cases - len(changed)
    if same:
        yield Test("counts", f"{words.counted(same, 'case')} as in the baseline")


def _troubles(outcome: Outcome) -> Iterator[Test]:
    for trouble in outcome.troubles:
        told = f"{trouble.reason} {trouble.remedy}".rstrip()
        yield Test("not compared", f"{trouble.kind} {trouble.name or ''}".rstrip(), "error", told)


def _element(test: Test) -> ElementTree.Element:
    names = {"classname": f"softbench.{test.group}", "name": _xml(test.name), "time": "0"}
    element = ElementTree.Element("testcase", names)
    if test.properties:
        properties = ElementTree.SubElement(element, "properties")
        for name, value in test.properties:
            ElementTree.SubElement(properties, "property", {"name": name, "value": value})
    if test.kind:
        ElementTree.SubElement(element, test.kind, {"message": _xml(test.message)})
    return element


def _xml(text: str) -> str:
    """Without the control characters that XML has no way to write."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
