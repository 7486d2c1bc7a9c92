"""The digits are scikit-learn's, split in one way for all seeds, the same share of each class.

Mutants seen red: another stream, levels that are not the set's, two samples more of one class.
"""

import hashlib

import pytest
import torch
from sklearn.datasets import load_digits

from softbench.tasks.digits import Params, load


def test_every_digit_is_in_one_of_the_sets() -> None:
    task = load(Params(), seed=0)
    assert (len(task.train), len(task.test)) == (1438, 359)
    together = torch.cat([task.train.inputs, task.test.inputs]).flatten(1)
    ours = sorted(map(tuple, together.tolist()))
    assert ours == sorted(map(tuple, load_digits().data.astype(int).tolist()))


def test_inputs_keep_their_labels() -> None:
    found = load_digits()
    label_of = {tuple(row): int(y) for row, y in zip(found.data, found.target, strict=True)}
    for split in (load(Params(), seed=0).train, load(Params(), seed=0).test):
        rows = split.inputs.flatten(1).double().tolist()
        assert [label_of[tuple(row)] for row in rows] == split.labels.tolist()


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_each_class_has_the_same_share_in_the_test(share: float) -> None:
    task = load(Params(test_share=share), seed=0)
    test, train = task.test.labels.bincount(), task.train.labels.bincount()
    assert torch.allclose(test / (test + train), torch.tensor(share), atol=0.003)
    assert task.majority == int(test.max()) / len(task.test)


def test_the_split_is_one_for_all_seeds_and_on_every_machine() -> None:
    first, second = load(Params(), seed=0), load(Params(), seed=1)
    assert torch.equal(first.test.inputs, second.test.inputs)
    assert not torch.equal(load(Params(split=1), seed=0).test.inputs, first.test.inputs)
    digest = hashlib.sha256(first.test.inputs.numpy().tobytes()).hexdigest()
    assert digest[:16] == "a0b7d4cd2a80c808"
