"""Sets that do not fit each other are refused; what a task says of itself follows from them.

Mutants seen red: another form of inputs, a negative label and a patch that does not tile let
through, the majority taken of the train set.
"""

import dataclasses
import re
import subprocess
import sys

import pytest
import torch

from softbench import plugins
from softbench.tasks._task import Split, Task


def images(number: int = 6, side: int = 8) -> Split:
    labels = torch.arange(number) % 3
    return Split(torch.zeros(number, 2, side, side, dtype=torch.uint8), labels)


def tokens(number: int = 6, length: int = 5) -> Split:
    return Split(torch.ones(number, length, dtype=torch.int64), torch.arange(number) % 3)


def task(train: Split, test: Split, vocabulary: int | None = None, num_classes: int = 3) -> Task:
    return Task("given", train, test, num_classes, "MIT", "made up", vocabulary)


@pytest.mark.parametrize(
    ("inputs", "labels", "message"),
    [
        (torch.zeros(2, 3, 4, 4), torch.zeros(2).long(), "inputs are float32 [2, 3, 4, 4]; images"),
        (torch.zeros(2, 4).byte(), torch.zeros(2).long(), "inputs are uint8 [2, 4]; images are"),
        (torch.zeros(2, 4).long(), torch.zeros(3).long(), "int64 [2] as the inputs are 2"),
        (torch.zeros(2, 4).long(), torch.zeros(2).int(), "labels are torch.int32 [2]"),
        (torch.zeros(0, 4).long(), torch.zeros(0).long(), "there is nothing in them"),
    ],
)
def test_a_split_of_another_form_is_refused(
    inputs: torch.Tensor, labels: torch.Tensor, message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Split(inputs, labels)


@pytest.mark.parametrize(
    ("train", "test", "vocabulary", "num_classes", "message"),
    [
        (images(), images(side=4), None, 3, "a train input is [2, 8, 8] torch.uint8, a test"),
        (images(), tokens(), None, 3, "a test input [5] torch.int64"),
        (images(), images(), None, 2, "given: a label is 2; there are 2, numbered from 0"),
        (tokens(), tokens(), 1, 3, "given: a token is 1; there are 1, numbered from 0"),
        (tokens(), tokens(), None, 3, "vocabulary is None; None for images alone"),
        (images(), images(), 256, 3, "vocabulary is 256; None for images alone"),
    ],
)
def test_sets_that_do_not_fit_each_other_are_refused(
    train: Split, test: Split, vocabulary: int | None, num_classes: int, message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        task(train, test, vocabulary, num_classes)


def test_a_negative_label_is_refused() -> None:
    wrong = Split(torch.ones(2, 5, dtype=torch.int64), torch.tensor([0, -1]))
    with pytest.raises(ValueError, match="a label is -1"):
        task(tokens(), wrong, 2)


def test_what_a_task_of_images_says_of_itself() -> None:
    test = Split(images(10).inputs, torch.tensor([0, 1, 1, 1, 1, 1, 1, 1, 2, 2]))
    given = task(images(), test)
    assert (given.channels, given.image_size, given.length) == (2, (8, 8), None)
    assert given.majority == 0.7
    assert given.grid(2) == (4, 4)
    with pytest.raises(ValueError, match="patches of 3 do not tile 8x8; take 2"):
        given.grid(3)


def test_what_a_task_of_tokens_says_of_itself() -> None:
    given = task(tokens(), tokens(), 2)
    assert (given.channels, given.image_size, given.length) == (None, None, 5)
    with pytest.raises(ValueError, match="tokens have no patches"):
        given.grid(1)


def test_a_few_samples_are_the_first() -> None:
    few = images().first(2)
    assert few.labels.tolist() == [0, 1]
    assert len(dataclasses.replace(task(images(), images()), test=few).test) == 2
    with pytest.raises(ValueError, match="7 samples of 6: take 1 to 6"):
        images().first(7)


def test_no_task_imports_a_library_of_data_before_it_loads() -> None:
    program = (
        "import sys\nfrom softbench import plugins\n"
        f"for name in {plugins.names('tasks')}: plugins.load('tasks', name)\n"
        "print(sorted({'sklearn', 'torchvision', 'timm', 'torch', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
