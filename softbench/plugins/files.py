"""What a plugin's file says without being run: its syntax, its names, what is wrong in it."""

from __future__ import annotations

import ast
from pathlib import Path


class BrokenPluginError(ValueError):
    """A plugin that cannot be read or imported; the message says in one line which and why."""


def parsed(path: Path, broken: str) -> ast.Module:
    """The file's syntax tree. Raises BrokenPluginError: `broken`, the line, what is wrong in it."""
    try:
        return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, OSError, RecursionError, MemoryError) as error:
        raise BrokenPluginError(f"{broken}: {told(error)}") from None


def told(error: BaseException) -> str:
    """What is wrong, in one line: a fault of syntax with its line, anything else with its kind."""
    if isinstance(error, SyntaxError) and error.lineno:
        # Without a file's name it is the one that the caller names.
        file = "" if error.filename in (None, "<unknown>") else f"{Path(error.filename).name}, "
        return f"{file}line {error.lineno}: {error.msg}"
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def defined_names(path: Path) -> set[str]:
    """The names that the module binds at its top level. Raises BrokenPluginError."""
    defined: set[str] = set()
    for node in parsed(path, f"--plugin {path}").body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            defined.add(node.name)
        elif isinstance(node, ast.Assign):
            defined |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            defined.add(node.target.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            defined |= {alias.asname or alias.name for alias in node.names}
    return defined
