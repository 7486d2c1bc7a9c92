"""A task that breaks a rule of its room is found out; one whose data are elsewhere is not.

The stand-ins below break one rule each: that is the list of mutants. Seen red for a rule left
out: the lines of the docstring, descriptions of fields, what a task says of itself, two loadings
that differ, torch's own stream, no word on how to get the data.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from softbench import contract, plugins

TASK = '''"""Which of two tokens stands first.

Licence: MIT.
Source: made up.
Sizes: as asked for.
Token grid: none.
"""
import torch
from pydantic import Field
from softbench.case import Value
from softbench.tasks._task import Split, Task
class Params(Value):
    train_size: int = Field(4, ge=1, description="to train on")
    length: int = Field(3, ge=1, description="tokens")
def split(size, length, generator):
    inputs = torch.randint(0, 2, (size, length), generator=generator)
    return Split(inputs, inputs[:, 0].clone())
def load(params, *, seed, data_root=None):
    generator = torch.Generator().manual_seed(seed)
    train = split(params.train_size, params.length, generator)
    return Task("stand_in", train, train, 2, "MIT", "made up", 2, {"a guess": 0.5})
'''
Adopt = Callable[[str], str]


@pytest.fixture
def adopt(tmp_path: Path) -> Iterator[Adopt]:
    """Write a plugin file, adopt it, and forget it afterwards; returns its name."""

    def adopted(source: str) -> str:
        path = tmp_path / "stand_in.py"
        path.write_text(source)
        return plugins.adopt(path)[1]

    yield adopted
    sys.modules.pop("softbench.tasks.stand_in", None)


def test_the_stand_in_is_good_but_for_what_is_changed(adopt: Adopt) -> None:
    assert contract.problems("tasks", adopt(TASK)) == []


DATA = "    generator = torch.Generator().manual_seed(seed)\n"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("Licence: MIT.\n", "", "no line that begins with 'Licence: '"),
        ("Source: made up.", "Source: ", "no line that begins with 'Source: '"),
        ("Sizes: as", "sizes as", "no line that begins with 'Sizes: '"),
        ("Token grid", "Grid", "no line that begins with 'Token grid: '"),
        ("class Params(Value)", "class Params(dict)", "must be a softbench.case.Value"),
        ('ge=1, description="tokens"', 'description="tokens"', "Params.length has no bounds"),
        ('ge=1, description="tokens"', "ge=1", "Params.length has no description"),
        ("    return Task(", "    return (", "load returns tuple, not a softbench.tasks._task"),
        ('Task("stand_in"', 'Task("other"', "the task is named 'other', its module 'stand_in'"),
        ('2, "MIT", "', '2, " ", "', "the task's licence is empty"),
        ('"MIT", "made up"', '"MIT", ""', "the task's source is empty"),
        ('"a guess": 0.5', '"a guess": 50', "baseline 'a guess' is 50; an accuracy is 0 to 1"),
        (".manual_seed(seed)", "; generator.seed()", "two loadings with one seed differ"),
        (DATA, DATA + "    torch.rand(1)\n", "load draws from torch's own stream"),
        (DATA, DATA + "    raise FileNotFoundError('gone')\n", "gone; say how to get the data"),
        ("train, 2,", "train, 1,", "ValueError: stand_in: a label is 1; there are 1"),
        (", data_root=None", ", data_root", "TypeError"),
    ],
)
def test_a_task_that_breaks_a_rule_is_found_out(
    adopt: Adopt, old: str, new: str, problem: str
) -> None:
    assert old in TASK
    found = contract.problems("tasks", adopt(TASK.replace(old, new)))
    assert [one for one in found if problem in one], found


def test_a_task_whose_data_are_elsewhere_keeps_its_contract(adopt: Adopt) -> None:
    told = "    raise FileNotFoundError('no images here; fetch them from example.org')\n"
    assert contract.problems("tasks", adopt(TASK.replace(DATA, told))) == []


def test_a_task_is_asked_for_few_samples(adopt: Adopt) -> None:
    many = TASK.replace("(4, ge=1", "(10**9, ge=1")
    assert contract.problems("tasks", adopt(many)) == []
