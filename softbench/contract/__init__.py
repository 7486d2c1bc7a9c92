"""What every plugin must satisfy, room by room; the tests and `softbench check` both call it.

Each check is a small generator of problems, in words for the one who wrote the plugin.
"""

from __future__ import annotations

from types import ModuleType

from softbench import plugins
from softbench.contract import attention, inverse, metrics, models, optional, reports, tasks

CHECKS = {
    "attention": attention.CHECKS + optional.CHECKS,
    "inverse": inverse.CHECKS,
    "models": models.CHECKS,
    "metrics": metrics.CHECKS,
    "reports": reports.CHECKS,
    "tasks": tasks.CHECKS,
}


def problems(room: str, name: str) -> list[str]:
    """Everything that keeps the plugin from its room's contract; empty if nothing does."""
    module = plugins.load(room, name)
    missing = [must for must in plugins.ROOMS[room] if not hasattr(module, must)]
    if missing:
        return [f"{room} {name} does not define {', '.join(missing)}"]
    found = _docstring(module)
    for check in CHECKS[room]:
        try:
            found += check(name, module)
        except Exception as error:  # a check that a plugin breaks is a problem of the plugin
            found.append(f"{check.__name__[1:]}: {type(error).__name__}: {error}")
    return found


def _docstring(module: ModuleType) -> list[str]:
    if (module.__doc__ or "").strip():
        return []
    return ["the module docstring's first line says what it is; there is none"]
