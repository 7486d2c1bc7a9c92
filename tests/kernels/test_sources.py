"""Compiled kernels tell of which sources they are, and others than those that lie here are refused.

Mutants seen red: names left out of the hash, the comparison left out, a folder without sources
taken for another version.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from softbench.kernels import _compiled, _sources, low_rank

built = pytest.mark.skipif(not low_rank.is_built(), reason="no C++ compiler built the kernels")


@pytest.fixture
def loaded_anew() -> Iterator[None]:
    """The library is loaded in the test, and once more after it."""
    _compiled._library.cache_clear()
    yield
    _compiled._library.cache_clear()


def test_content_and_names_of_sources_count_and_nothing_else(tmp_path: Path) -> None:
    assert _sources.digest(tmp_path) is None
    (tmp_path / "a.hpp").write_text("one")
    first = _sources.digest(tmp_path)
    (tmp_path / "notes.txt").write_text("two")
    assert _sources.digest(tmp_path) == first
    (tmp_path / "a.hpp").write_text("two")
    second = _sources.digest(tmp_path)
    (tmp_path / "a.hpp").rename(tmp_path / "b.hpp")
    assert len({first, second, _sources.digest(tmp_path)}) == 3


@built
def test_kernels_of_other_sources_are_refused(
    loaded_anew: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_sources, "digest", lambda: "0" * 16)
    with pytest.raises(RuntimeError, match="and 0000000000000000 lie here; install again"):
        _compiled._library()


def test_kernels_that_do_not_tell_are_of_other_sources() -> None:
    with pytest.raises(RuntimeError, match="kernels are of sources unknown"):
        _compiled._check_sources(SimpleNamespace())  # type: ignore[arg-type]


@built
def test_an_installed_package_without_sources_runs_what_it_has(
    loaded_anew: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_sources, "digest", lambda: None)
    assert _compiled._library()
