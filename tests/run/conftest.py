"""Fixtures of the run's tests: one zygote for all of them, commands in a folder of each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from run.commands import Bench, Zygote


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    with Zygote() as started:
        yield started


@pytest.fixture
def bench(zygote: Zygote, tmp_path: Path) -> Iterator[Bench]:
    with Bench(zygote, tmp_path) as opened:
        yield opened


@pytest.fixture(scope="module")
def shared_bench(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """For tests that look at one costly run from several sides."""
    with Bench(zygote, tmp_path_factory.mktemp("shared")) as opened:
        yield opened
