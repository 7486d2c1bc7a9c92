"""The two sides of `softbench gate` from what was typed."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from softbench.cli.ending import BadInputError
from softbench.gate import trees
from softbench.gate.sides import Side


@dataclass(frozen=True)
class Sides:
    """What was typed: one of `base`, a revision, and `base_path`; the head if not what is here."""

    base: str | None
    base_path: Path | None
    head_path: Path | None


@dataclass(frozen=True)
class Opposed:
    """The two sides; homes: the trees that files named may be of, the head's first; words: as both
    were typed."""

    base: Side
    head: Side
    homes: tuple[Path, ...]
    words: tuple[str, str]


@contextmanager
def opposed(typed: Sides, plugins: Sequence[Path]) -> Iterator[Opposed]:
    """Both sides, for as long as their trees are needed. Raises BadInputError."""
    with ExitStack() as stack:
        try:
            found = _entered(typed, plugins, stack)
        except trees.TreeError as error:
            raise BadInputError(str(error)) from None
        yield found


def _entered(typed: Sides, plugins: Sequence[Path], stack: ExitStack) -> Opposed:
    here = trees.top_of(Path.cwd())
    head: Path | None
    if typed.head_path is not None:
        head, head_python = stack.enter_context(trees.placed(typed.head_path, "--head-path"))
    else:
        head, head_python = here or Path.cwd().resolve(), sys.executable
        _refuse_another_softbench(head)
    if typed.base is not None:
        base: Path | None = stack.enter_context(trees.worktree(typed.base, here))
        python = sys.executable
    else:
        assert typed.base_path is not None  # one of the two is given
        base, python = stack.enter_context(trees.placed(typed.base_path, "--base-path"))
    _refuse_half_a_softbench(base, head)
    homes = tuple(tree for tree in (head, here) if tree is not None)
    words = (
        typed.base or str(typed.base_path),
        str(typed.head_path) if typed.head_path else "the working tree",
    )
    return Opposed(
        trees.side("base", base, python, plugins, homes),
        trees.side("head", head, head_python, plugins, homes),
        homes,
        words,
    )


def _refuse_half_a_softbench(base: Path | None, head: Path | None) -> None:
    """A folder without a softbench/ against one that has one: the one would run the other's."""
    if base is None or head is None:
        return
    has, lacks = (base, head) if (base / "softbench").is_dir() else (head, base)
    if (has / "softbench").is_dir() and not (lacks / "softbench").is_dir():
        raise BadInputError(
            f"{has} has a softbench/ and {lacks} has none, so the other's would be timed for it; "
            "name the folder that holds softbench/"
        )


def _refuse_another_softbench(head: Path) -> None:
    """The softbench that runs must be the tree's own, where it has one."""
    import softbench

    running = Path(softbench.__file__).resolve().parents[1]
    if (head / "softbench" / "__init__.py").is_file() and running != head.resolve():
        raise BadInputError(
            f"this tree has a softbench/ of its own, and another one runs ({running}); "
            "run the tree's own, or name what is to be timed with --head-path"
        )
