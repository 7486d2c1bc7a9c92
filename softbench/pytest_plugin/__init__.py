"""`pytest --softbench SUITE`: a suite's cases as items of pytest-benchmark.

Autosave, comparisons, histograms and storage are pytest-benchmark's own. Beside its times an item
carries softbench's counts (`extra_info`), and fails where they are not those of the suite's
baseline, or where there is none; a case that the baseline has and the suite has not is an item
that fails, and so does a session in which a benchmark of the compared run is gone, failed or
skipped.

pytest imports this in every run of everyone who has softbench installed: nothing heavy here.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from softbench.pytest_plugin.session import Session, begun

SESSION = pytest.StashKey[Session]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options, all with softbench's name."""
    group = parser.getgroup("softbench", "attention suites as benchmarks")
    group.addoption(
        "--softbench",
        metavar="SUITE",
        action="append",
        default=[],
        help="run the cases of this suite, a file or a packaged one's name; may be repeated",
    )
    group.addoption(
        "--softbench-baseline",
        metavar="FILE",
        type=Path,
        help="counts that the cases must have, if not SUITE.baseline.json beside the suite",
    )
    group.addoption(
        "--softbench-no-baseline",
        action="store_true",
        help="time the cases without holding their counts to anything",
    )
    group.addoption(
        "--softbench-plugin",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="a Python file with a mechanism, as with softbench --plugin; may be repeated",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Find the suites. Raises UsageError for one that is not there, or without pytest-benchmark."""
    if config.getoption("softbench"):
        config.stash[SESSION] = begun(config)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A suite that was asked for is collected; every other file is left to others."""
    session = parent.config.stash.get(SESSION, None)
    if session is None or file_path not in session.suites:
        return None
    from softbench.pytest_plugin.collecting import SuiteFile

    return SuiteFile.from_parent(parent, path=file_path)


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Read what is compared with before this run is saved beside it."""
    mine = session.config.stash.get(SESSION, None)
    if mine is not None:
        mine.read_compared(session.config)


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Note what the user left out: that is no deletion."""
    for item in items:
        mine = item.config.stash.get(SESSION, None)
        if mine is not None:
            mine.deselected.add(item.nodeid)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note what ran to its end."""
    report = yield
    mine = item.config.stash.get(SESSION, None)
    if mine is not None and report.when == "call" and report.passed:
        mine.passed.add(item.nodeid)
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a session that lost a benchmark of the run it is compared with."""
    mine = session.config.stash.get(SESSION, None)
    if mine is not None and mine.lost():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which benchmarks were lost, and which were left out."""
    mine = terminalreporter.config.stash.get(SESSION, None)
    if mine is None:
        return
    for line in mine.lost():
        terminalreporter.write_line(f"softbench: {line}", red=True)
    left_out = len(mine.left_out())
    if left_out:
        terminalreporter.write_line(
            f"softbench: {left_out} benchmarks of the compared run were not asked for; not compared"
        )
