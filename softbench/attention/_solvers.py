"""Finding a solver by its name without paying for it in every call."""

from __future__ import annotations

import sys
from functools import cache
from types import ModuleType

from softbench import plugins


def solver(name: str) -> ModuleType:
    """The plugin `name` of the room `inverse`. Raises UnknownNameError.

    Looking through the registry reads folders and installed packages: milliseconds that would be
    part of a call's latency. What is imported already is taken as it is; torch.compile can follow
    that.
    """
    return sys.modules.get(f"softbench.inverse.{name}") or _load_once(name)


@cache
def _load_once(name: str) -> ModuleType:
    return plugins.load("inverse", name)
