"""Every answer stands behind its key; sequences are the same everywhere; baselines are counted.

Mutants seen red: keys drawn with replacement, the key before asked for, train and test from one
stream, the seed left out, the rarest value for the most frequent; joined pairs numbered by value
first, and room for half of them.
"""

import collections
import hashlib
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from softbench.tasks import recall
from softbench.tasks.recall import Params, load

FEW: dict[str, Any] = {"train_size": 50, "test_size": 300}
FREQUENT = "the sequence's most frequent value"


def pairs_of(row: list[int], params: Params) -> dict[int, int]:
    """The sequence's keys and values, read without knowing how it was made."""
    if params.joined:
        first, values = 1 + params.keys, params.num_values
        return dict(divmod(token - first, values) for token in row[:-1] if token)
    found: dict[int, int] = {}
    for place in range(0, len(row) - 2, 2):
        key, value = row[place], row[place + 1]
        assert (key == 0) == (value == 0)
        if key:
            assert key not in found
            assert 1 <= key <= params.keys
            found[key] = value - 1 - params.keys
    return found


@pytest.mark.parametrize(
    "given",
    [
        {"length": 3},
        {"length": 64},
        {"length": 65},
        {"length": 256, "num_pairs": 8},
        {"length": 40, "num_pairs": 5, "num_keys": 9, "num_values": 3},
        {"length": 9, "joined": True},
        {"length": 64, "num_pairs": 8, "num_keys": 9, "num_values": 3, "joined": True},
    ],
    ids=str,
)
def test_the_answer_stands_behind_the_key_that_is_asked_for(given: dict[str, Any]) -> None:
    params = Params(**given, **FEW)
    task = load(params, seed=0)
    assert task.length == params.length
    right = 0
    for row, label in zip(task.test.inputs.tolist(), task.test.labels.tolist(), strict=True):
        pairs = pairs_of(row, params)
        assert len(pairs) == params.pairs
        assert pairs[row[-1] - 1 if params.joined else row[-1]] == label
        counts = collections.Counter(sorted(pairs.values()))
        right += counts.most_common(1)[0][0] == label
    assert task.baselines[FREQUENT] == pytest.approx(right / len(task.test))
    assert task.baselines["a guess among all values"] == 1 / params.num_values


def test_every_key_place_and_value_is_used() -> None:
    task = load(Params(length=20, num_pairs=3, num_keys=5, num_values=4, **FEW), seed=0)
    keys = task.test.inputs[:, 0:-1:2]
    assert set(keys.flatten().tolist()) == set(range(6))
    assert set(task.test.inputs[:, -1].tolist()) == set(range(1, 6))
    assert set(task.test.labels.tolist()) == set(range(4))
    asked = (keys[:, :9] == task.test.inputs[:, -1:]).nonzero()[:, 1]
    assert set(asked.tolist()) == set(range(9))


def test_every_joined_pair_is_a_token_of_its_own() -> None:
    params = Params(length=9, num_pairs=2, num_keys=3, num_values=4, joined=True, **FEW)
    tokens = load(params, seed=0).test.inputs
    assert set(tokens[:, :-1].flatten().tolist()) == {0, *range(4, 16)}
    assert set(tokens[:, -1].tolist()) == {1, 2, 3}
    assert params.vocabulary == 16


def test_the_seed_draws_all_of_it_and_train_is_not_test() -> None:
    params = Params(train_size=300, test_size=300)
    one, other = load(params, seed=0), load(params, seed=1)
    assert not torch.equal(one.test.inputs, other.test.inputs)
    assert not torch.equal(one.test.inputs, one.train.inputs)
    assert not set(map(tuple, one.test.inputs.tolist())) & set(
        map(tuple, one.train.inputs.tolist())
    )


def test_sequences_are_the_same_on_every_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    params = Params(length=40, num_pairs=5, train_size=100, test_size=100)
    whole = load(params, seed=3).train
    monkeypatch.setattr(recall, "BLOCK", 7 * 40)
    assert torch.equal(load(params, seed=3).train.inputs, whole.inputs)
    content = whole.inputs.numpy().tobytes() + whole.labels.numpy().tobytes()
    assert hashlib.sha256(content).hexdigest()[:16] == "14c2bb3a96651989"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"length": 64, "num_pairs": 32}, "num_pairs 32 do not fit 64 tokens; take 31 at most"),
        ({"length": 64, "num_pairs": 64, "joined": True}, "do not fit 64 tokens; take 63 at most"),
        ({"length": 64, "num_keys": 30}, "num_keys 30 are too few for 31 pairs"),
        ({"length": 2}, "greater than or equal to 3"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Params(**given)
