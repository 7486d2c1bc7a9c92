"""A suite as pytest sees it: a file, an item for each case and for each that is missing."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from softbench.case import Case, Unsupported
from softbench.gate import baseline as files
from softbench.gate.baseline import BaselineError
from softbench.gate.naming import names
from softbench.pytest_plugin import SESSION
from softbench.pytest_plugin.held import Held, NotHeld
from softbench.suite import Suite, SuiteError, expand, parse, read


class SuiteFile(pytest.Module):
    """The file of a suite; to pytest a module, so that fixtures of every scope work in it."""

    def _getobj(self) -> ModuleType:
        return ModuleType(self.path.stem)

    def collect(self) -> Iterator[pytest.Function]:
        """An item for each case, then one for each case that the baseline alone has."""
        suite, cases = self._suite()
        session = self.config.stash[SESSION]
        session.files.add(self.nodeid)
        named = names(cases)
        held = Held(suite, cases, named, session.plugins)
        for case in cases:
            yield self._item(named[case.id], _timed(case, named[case.id], suite, held))
        path = session.baseline or files.beside(self.path)
        try:
            missing = held.hold_to(path)
        except BaselineError as error:
            if path.exists() or session.baseline is not None:
                yield self._item("baseline", _failing(str(error)))
                return
            remedy = f"softbench gate {self.path.name} --update-baseline"
            told = f"{error}: counts are not held; {remedy} makes one"
            warnings.warn(pytest.PytestWarning(told), stacklevel=2)
            return
        for name in missing:
            yield self._item(f"missing: {name}", _failing(f"{path} has {name}, the suite has not"))

    def _suite(self) -> tuple[Suite, list[Case]]:
        """The suite and its cases for this machine. Raises CollectError with softbench's words."""
        import torch

        from softbench import plugins

        try:
            for file in self.config.stash[SESSION].plugins:
                plugins.adopt(file)
            suite = parse(read(self.path), self.path.stem, str(self.path))
            return suite, expand(suite, "cuda" if torch.cuda.is_available() else "cpu")
        except (SuiteError, LookupError, ValueError, OSError) as error:
            raise self.CollectError(str(error)) from None

    def _item(self, name: str, function: Callable[..., None]) -> pytest.Function:
        item: pytest.Function = pytest.Function.from_parent(self, name=name, callobj=function)
        self.config.stash[SESSION].collected.add(item.nodeid)
        return item


def _timed(case: Case, name: str, suite: Suite, held: Held) -> Callable[..., None]:
    """The function that times a case by pytest-benchmark, and holds its counts."""

    def timed(benchmark: Any) -> None:
        import torch

        from softbench.workload import build

        torch.set_num_threads(suite.threads)
        benchmark.group = _group(case)
        try:
            workload = build(case)
        except Unsupported as reason:
            held.refuse_if_supported_before(name)
            pytest.skip(str(reason))

        def step() -> None:
            workload.step()
            workload.synchronize()

        step()  # the first one imports what it needs, and is no round
        benchmark(step)
        workload.clear_gradients()
        try:
            benchmark.extra_info.update(held.counts_of(name), case=case.id)
            held.check(name)
        except NotHeld as difference:
            pytest.fail(str(difference), pytrace=False)

    return timed


def _group(case: Case) -> str:
    """What may be compared in one table: cases of one shape, type, device and mode."""
    shape = case.shape
    sizes = f"B={shape.batch_size} H={shape.num_heads} N={shape.seq_len} D={shape.head_dim}"
    of = f"{case.model['name']} " if case.model else ""
    return f"{case.level} {of}{sizes} {case.dtype} {case.device} {case.mode}"


def _failing(reason: str) -> Callable[..., None]:
    """Fails with that reason. It asks for `benchmark`: else --benchmark-only would skip it."""

    def failing(benchmark: Any) -> None:
        pytest.fail(reason, pytrace=False)

    return failing
