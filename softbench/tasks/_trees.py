"""Nested lists of random shape, many at once, of which those of the right length are kept.

Of the shapes that ListOps' grammar draws one in twenty has a length that is wanted: shapes are
drawn level by level for thousands together, and only what is kept is written out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BLOCK = 2**20  # tokens of the shapes drawn together, at most


@dataclass(frozen=True)
class Grammar:
    """Lengths in tokens, how deep operations nest, how many arguments they take."""

    shortest: int
    longest: int
    max_depth: int
    max_args: int
    operation_share: float


@dataclass(frozen=True)
class _Level:
    """The operations of one depth: whose tree each is of, and which arguments are operations."""

    owners: NDArray[np.int64]  # [operations], ascending
    num_args: NDArray[np.int64]  # [operations]
    nested: NDArray[np.bool_]  # [arguments], those of an operation beside each other


Tree = list[tuple[list[int], list[bool]]]


def shapes(grammar: Grammar, draws: np.random.RandomState) -> Iterator[Tree | None]:
    """Ever new shapes; None for one that is too short or too long.

    A tree has, for each depth, its operations' numbers of arguments, and for all these arguments
    in their order whether they are operations of the next depth.
    """
    size = max(1, BLOCK // grammar.longest)
    while True:
        lengths, levels = _drawn(grammar, draws, size)
        kept = (lengths >= grammar.shortest) & (lengths <= grammar.longest)
        cuts = [_cuts(level, size) for level in levels]
        for tree in range(size):
            yield _tree(levels, cuts, tree) if kept[tree] else None


def _drawn(
    grammar: Grammar, draws: np.random.RandomState, size: int
) -> tuple[NDArray[np.int64], list[_Level]]:
    """Every tree's length, or how long it had grown when it was too long; its levels."""
    import numpy as np

    owners, lengths, levels = np.arange(size), np.zeros(size, dtype=np.int64), []
    for depth in range(1, grammar.max_depth + 1):
        num_args = draws.randint(2, grammar.max_args + 1, len(owners), dtype=np.int64)
        share = grammar.operation_share if depth < grammar.max_depth else 0.0
        nested = draws.random_sample(num_args.sum()) < share
        levels.append(_Level(owners, num_args, nested))
        # An operation is its name and its bracket; an argument that is none is a digit.
        of_args = np.repeat(owners, num_args)
        lengths += 2 * np.bincount(owners, minlength=size)
        lengths += np.bincount(of_args[~nested], minlength=size)
        owners = of_args[nested]
        owners = owners[lengths[owners] <= grammar.longest]
        if not len(owners):
            break
    return lengths, levels


def _cuts(level: _Level, size: int) -> tuple[list[int], list[int]]:
    """Where each tree's operations and arguments begin; one end more than trees."""
    import numpy as np

    operations = np.searchsorted(level.owners, np.arange(size + 1))
    arguments = np.concatenate([[0], np.cumsum(level.num_args)])[operations]
    return operations.tolist(), arguments.tolist()


def _tree(levels: list[_Level], cuts: list[tuple[list[int], list[int]]], tree: int) -> Tree:
    return [
        (
            level.num_args[operations[tree] : operations[tree + 1]].tolist(),
            level.nested[arguments[tree] : arguments[tree + 1]].tolist(),
        )
        for level, (operations, arguments) in zip(levels, cuts, strict=True)
        if operations[tree] < operations[tree + 1]
    ]
