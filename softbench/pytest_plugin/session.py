"""One run of pytest with suites in it: what was asked for, what ran, what is compared with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


class Session:
    """The suites of a run and what became of their items; node ids are pytest's."""

    def __init__(
        self, suites: list[Path], baseline: Path | None, plugins: list[Path], unheld: bool
    ) -> None:
        self.suites, self.baseline, self.plugins = suites, baseline, plugins
        self.unheld = unheld  # counts are held to nothing, as asked
        self.collected: set[str] = set()
        self.deselected: set[str] = set()
        self.passed: set[str] = set()
        self.files: set[str] = set()  # node ids of the suites
        self._compared: set[str] = set()

    def read_compared(self, config: pytest.Config) -> None:
        """The names of the benchmarks that this run is compared with, if with any."""
        theirs: Any = getattr(config, "_benchmarksession", None)
        if theirs is None or not theirs.compare or hasattr(config, "workerinput"):
            return
        found = list(theirs.storage.load(*([] if theirs.compare is True else [theirs.compare])))
        for _, saved in found[-1:] if theirs.compare is True else found:
            self._compared |= {benchmark["fullname"] for benchmark in saved["benchmarks"]}

    def lost(self) -> list[str]:
        """What is compared with, is of these suites, and did not run to its end here."""
        mine = {name for name in self._compared if name.partition("::")[0] in self.files}
        gone = sorted(mine - self.collected)
        ended = sorted((mine & self.collected) - self.passed - self.left_out())
        return [
            *(f"{name}: the compared run has it, this suite no longer has it" for name in gone),
            *(f"{name}: the compared run has it, here it failed or was skipped" for name in ended),
        ]

    def left_out(self) -> set[str]:
        """What is compared with and was not asked for in this run."""
        return self._compared & self.collected & self.deselected


def begun(config: pytest.Config) -> Session:
    """The session that the options ask for; its suites are added to what pytest collects.

    Without files or folders on the command line nothing but the suites is collected.
    """
    from softbench.suite import SuiteError, find

    if not config.pluginmanager.hasplugin("benchmark"):
        raise pytest.UsageError("--softbench needs pytest-benchmark: pip install pytest-benchmark")
    try:
        suites = [find(name).resolve() for name in config.getoption("softbench")]
    except SuiteError as error:
        raise pytest.UsageError(f"--softbench: {error}") from None
    baseline = config.getoption("softbench_baseline")
    if baseline is not None and len(suites) > 1:
        raise pytest.UsageError("--softbench-baseline is of one suite, and several are given")
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.args[:] = []
    given = {Path(str(one).partition("::")[0]).resolve() for one in config.args}
    config.args.extend(str(suite) for suite in suites if suite not in given)
    unheld = config.getoption("softbench_no_baseline")
    if unheld and baseline is not None:
        raise pytest.UsageError(
            "--softbench-no-baseline and --softbench-baseline exclude each other"
        )
    return Session(suites, baseline, config.getoption("softbench_plugin"), unheld)
