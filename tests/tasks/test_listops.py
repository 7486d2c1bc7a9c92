"""Expressions have the value that they are labelled with, by another way of working it out.

Mutants seen red: the median rounded up, the sum modulo 9, an argument too many, lengths not held,
an expression twice, a share of operations of 0.3.
"""

import hashlib
import itertools
import statistics
from collections.abc import Callable
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from softbench.tasks._draws import array_stream
from softbench.tasks._trees import Grammar, shapes
from softbench.tasks.listops import Params, load

SMALL = {"length": 40, "train_size": 400, "test_size": 200}
COMPUTE: dict[int, Callable[[list[int]], int]] = {
    11: max,
    12: min,
    13: lambda values: int(statistics.median(values)),
    14: lambda values: sum(values) % 10,
}


def value_of(tokens: list[int], params: Params) -> int:
    """The value by a stack from left to right, which also holds the grammar."""
    stack: list[list[int]] = [[]]
    for token in tokens:
        if token in COMPUTE:
            stack.append([token])
            assert len(stack) - 1 <= params.max_depth
        elif token == 15:
            operation, *values = stack.pop()
            assert 2 <= len(values) <= params.max_args
            stack[-1].append(COMPUTE[operation](values))
        else:
            assert 1 <= token <= 10
            stack[-1].append(token - 1)
    [[value]] = stack
    return value


@pytest.mark.parametrize(
    "given",
    [{}, {"max_args": 3}, {"max_depth": 2}, {"min_length": 37}, {"length": 4, "train_size": 1}],
    ids=str,
)
def test_an_expression_has_the_value_that_is_its_label(given: dict[str, Any]) -> None:
    params = Params(**{**SMALL, **given})
    task = load(params, seed=0)
    assert task.length == params.length
    for row, label in zip(task.test.inputs.tolist(), task.test.labels.tolist(), strict=True):
        tokens = [token for token in row if token]
        assert row == tokens + [0] * (params.length - len(tokens))
        assert params.shortest <= len(tokens) <= params.length
        assert value_of(tokens, params) == label


def test_bounds_are_reached() -> None:
    params = Params(**SMALL, max_args=5, max_depth=3)
    rows = [[t for t in row if t] for row in load(params, seed=0).train.inputs.tolist()]
    assert (min(map(len, rows)), max(map(len, rows))) == (10, 40)
    depths = [max(itertools.accumulate((t in COMPUTE) - (t == 15) for t in row)) for row in rows]
    assert max(depths) == 3
    assert set(itertools.chain(*rows)) == set(range(1, 16))


def test_no_expression_stands_twice() -> None:
    task = load(Params(length=8, min_length=5, train_size=1500, test_size=500), seed=0)
    rows = torch.cat([task.train.inputs, task.test.inputs])
    assert len(set(map(tuple, rows.tolist()))) == 2000


def test_more_expressions_than_there_are_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("softbench.tasks.listops.PATIENCE", 20_000)
    params = Params(length=4, train_size=400, test_size=1)
    with pytest.raises(ValueError, match="after 400 expressions of 4 to 4 tokens"):
        load(params, seed=0)
    with pytest.raises(ValueError, match="after 0 expressions of 30 to 40 tokens"):
        load(Params(**SMALL, min_length=30, max_depth=1), seed=0)


def test_shapes_have_the_mean_length_of_the_grammar() -> None:
    # Three arguments on average: 2 + 3 = 5 tokens at depth 3, 2 + 3 (3/4 + 5/4) = 8 at depth 2.
    expected = 2 + 3 * (0.75 + 0.25 * 8)
    grammar = Grammar(1, 10**4, max_depth=3, max_args=4, operation_share=0.25)
    lengths = [
        sum(2 * len(num_args) + nested.count(False) for num_args, nested in tree)
        for tree in itertools.islice(shapes(grammar, array_stream("test")), 10_000)
        if tree
    ]
    assert len(lengths) == 10_000
    error = statistics.stdev(lengths) / 100
    assert abs(statistics.mean(lengths) - expected) < 4 * error
    assert error < 0.1


def test_the_seed_draws_all_of_it_and_more_to_train_on_leaves_the_test() -> None:
    one, other = load(Params(**SMALL), seed=0), load(Params(**SMALL), seed=1)
    assert not torch.equal(one.test.inputs, other.test.inputs)
    more = load(Params(**{**SMALL, "train_size": 500}), seed=0)
    assert torch.equal(more.test.inputs, one.test.inputs)
    assert torch.equal(more.train.inputs[:400], one.train.inputs)


def test_expressions_are_the_same_on_every_machine() -> None:
    train = load(Params(**SMALL), seed=3).train
    content = train.inputs.numpy().tobytes() + train.labels.numpy().tobytes()
    assert hashlib.sha256(content).hexdigest()[:16] == "037c7b4538d13e56"


def test_lengths_out_of_order_are_refused() -> None:
    with pytest.raises(ValidationError, match="min_length 300 is over length 256"):
        Params(min_length=300)
