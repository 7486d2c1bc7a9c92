"""What `softbench run` makes of its options before anything is measured.

Mutants seen red: --only without "*", devices unchecked, plug-in files named with their place.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from softbench.cli import running
from softbench.cli.choosing import narrowed
from softbench.environment import Environment
from softbench.plugins import UnknownNameError
from softbench.suite import Suite, SuiteError, expand, parse

MACHINE = Environment(
    system="none", cpu="none", cores=1, memory=1, gpus=[], driver=None, cuda=None, python="3",
    libraries={}, threads=1, softbench="0",
)  # fmt: skip


def suite(**attention: Any) -> Suite:
    raw = {"shape": {"seq_len": 16}, "attention": attention, "metrics": ["flops"]}
    return parse(raw, "given", "given.yaml")


def test_only_keeps_the_variants_of_what_it_names() -> None:
    given = suite(softmax={"backend": ["eager", "sdpa"]}, soft={})
    one = narrowed(given, ["softmax"])
    assert [(c.attention, c.backend) for c in expand(one, "cpu")] == [
        ("softmax", "eager"),
        ("softmax", "sdpa"),
    ]
    assert narrowed(given, []) == given


def test_only_finds_what_a_star_stands_for() -> None:
    one = narrowed(suite(**{"*": {}}), ["soft"])
    assert {case.attention for case in expand(one, "cpu")} == {"soft"}


@pytest.mark.parametrize("name", ["softmacks", "*"])
def test_only_refuses_what_the_suite_has_not(name: str) -> None:
    with pytest.raises(SuiteError, match=r"--only .*: not in suite given; .*'?softmax'?"):
        narrowed(suite(softmax={}), [name])


def test_an_executor_is_a_module_of_its_folder() -> None:
    assert running._executor("local").start
    with pytest.raises(UnknownNameError, match="no executor 'lokal'; did you mean 'local'"):
        running._executor("lokal")


@pytest.mark.parametrize("device", ["cuda", "cuda:3"])
def test_a_device_that_is_not_here_is_refused_in_one_line(device: str) -> None:
    cases = expand(suite(softmax={}).model_copy(update={"device": [device]}), "cpu")
    with pytest.raises(SuiteError, match=rf"device '{device}' is not here .*no CUDA device"):
        running.check_devices(cases, MACHINE)


@pytest.mark.parametrize("device", ["cpu", "meta", "auto"])
def test_a_device_that_is_here_is_not(device: str) -> None:
    cases = expand(suite(softmax={}).model_copy(update={"device": [device]}), "cpu")
    running.check_devices(cases, MACHINE)


def test_an_invocation_names_its_plugin_files_without_their_place(tmp_path: Path) -> None:
    invocation = running.invocation([(str(tmp_path / "mine.py"), "0" * 16)])
    assert invocation.plugins == {"mine.py": "0" * 16}
