"""A folder is a registry: the names in a room, loading one by name, and "did you mean".

A plugin is a module: a file of a room's folder, an installed entry point of the group
`softbench.<room>`, or a file given with `--plugin`. Files whose name starts with an underscore
are helpers, not plugins.
"""

from __future__ import annotations

import ast
import difflib
import functools
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from softbench.plugins.files import BrokenPluginError, defined_names, parsed, told

_HOUSE = Path(__file__).parents[1]

# What a module of each room must define at its top level; it also tells a --plugin file's room.
ROOMS: dict[str, tuple[str, ...]] = {
    "attention": ("Params", "attend", "weights", "supports", "flops", "RANK", "Attention"),
    "inverse": ("invert", "flops"),
    "models": ("Params", "shape", "supports", "build", "draw", "flops"),
    "metrics": ("QUANTITIES", "measure"),
    "reports": ("render",),
    "tasks": ("Params", "load"),
}


class UnknownNameError(LookupError):
    """A name that is not in its room; the message lists the nearest right one."""


def did_you_mean(name: object, options: Iterable[str]) -> str:
    """A closing clause that names the nearest option, or all of them if none is near.

    An option with dots is as near as its last part: `seq_len` is near to `shape.seq_len`.
    """
    offered = sorted(options)
    known = {option.rpartition(".")[2].casefold(): option for option in offered}
    known |= {option.casefold(): option for option in offered}
    near = difflib.get_close_matches(str(name).casefold(), known, n=1, cutoff=0.5)
    return f"did you mean {known[near[0]]!r}?" if near else f"known: {', '.join(offered)}"


def names(room: str) -> list[str]:
    """Every plugin of `room`: its folder's files, installed entry points, adopted files."""
    adopted = {
        module.removeprefix(f"softbench.{room}.")
        for module in sys.modules
        if module.startswith(f"softbench.{room}.")
    }
    return sorted(
        name
        for name in {*_folder(room), *_installed(room), *adopted}
        if not name.startswith("_") and "." not in name
    )


def load(room: str, name: str) -> ModuleType:
    """The plugin `name` of `room`.

    Raises UnknownNameError with the nearest right name, and BrokenPluginError if it is there but
    cannot be imported.
    """
    full_name = f"softbench.{room}.{name}"
    if full_name in sys.modules and name.isidentifier() and not name.startswith("_"):
        return importlib.import_module(full_name)  # without a look into the folder: cases are many
    if name not in names(room):
        raise UnknownNameError(f"no {room} {name!r}; {did_you_mean(name, names(room))}")
    try:
        if name in _folder(room):
            return importlib.import_module(full_name)
        module: ModuleType = _installed(room)[name].load()
    except (Exception, SystemExit) as error:  # a file that exits would take the command with it
        raise BrokenPluginError(f"{room} {name!r} is broken: {told(error)}") from error
    return module


def room_of(name: str) -> str:
    """The only room that has a plugin `name`. Raises UnknownNameError for none and for several."""
    rooms = [room for room in ROOMS if name in names(room)]
    if not rooms:
        everything = [known for room in ROOMS for known in names(room)]
        raise UnknownNameError(f"no plugin {name!r}; {did_you_mean(name, everything)}")
    if len(rooms) > 1:
        raise UnknownNameError(f"{name!r} stands in {' and '.join(rooms)}; say which with --room")
    return rooms[0]


def summary(room: str, name: str) -> str:
    """The first line of a plugin's docstring, read without importing what is in the folder.

    Raises BrokenPluginError for a file that is no Python.
    """
    path = _folder(room).get(name)
    broken = f"{room} {name!r} is broken"
    text = ast.get_docstring(parsed(path, broken)) if path else load(room, name).__doc__
    return (text or "").strip().split("\n")[0]


def adopt(path: Path) -> tuple[str, str]:
    """Make a file given with --plugin a member of its room, as if it stood in the folder.

    Returns (room, name). Raises FileNotFoundError, and ValueError if the file is of no room, its
    name is taken or it cannot be imported.
    """
    room = _room_of(path)
    name = path.stem
    if _is_member(path, room):
        return room, name
    if name in names(room):
        raise ValueError(f"--plugin {path}: {room} {name!r} exists already; rename the file")
    _import_file(path, f"softbench.{room}.{name}")
    return room, name


def file_hash(path: Path) -> str:
    """Sixteen hex digits of a plugin file's SHA-256: workers check that they got the same file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _folder(room: str) -> dict[str, Path]:
    return {file.stem: file for file in (_HOUSE / room).glob("*.py")}


def _installed(room: str) -> dict[str, EntryPoint]:
    return _entry_points(room, tuple(sys.path))


@functools.cache
def _entry_points(room: str, _where: tuple[str, ...]) -> dict[str, EntryPoint]:
    """Read once for each search path: every installed package's metadata takes some 10 ms."""
    return {point.name: point for point in entry_points(group=f"softbench.{room}")}


def _is_member(path: Path, room: str) -> bool:
    adopted = getattr(sys.modules.get(f"softbench.{room}.{path.stem}"), "__file__", None)
    in_folder = (_HOUSE / room / path.name).resolve()
    return path.resolve() == in_folder or str(path.resolve()) == adopted


def _import_file(path: Path, full_name: str) -> None:
    spec = importlib.util.spec_from_file_location(full_name, path.resolve())
    assert spec is not None  # a .py path always has a spec
    assert spec.loader is not None  # and a loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[full_name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[full_name]
        if not isinstance(error, Exception):
            raise
        raise BrokenPluginError(f"--plugin {path}: {told(error)}") from error


def _room_of(path: Path) -> str:
    if not path.is_file() or path.suffix != ".py":
        raise FileNotFoundError(f"--plugin {path}: no such Python file")
    if not path.stem.isidentifier() or path.stem.startswith("_"):
        raise ValueError(
            f"--plugin {path}: the file's name must be a Python name without leading underscore"
        )
    defined = defined_names(path)
    missing = {room: [name for name in must if name not in defined] for room, must in ROOMS.items()}
    for room, lacks in missing.items():
        if not lacks:
            return room
    nearest = min(missing, key=lambda room: len(missing[room]) / len(ROOMS[room]))
    raise ValueError(
        f"--plugin {path}: not a plugin; for {nearest} it lacks {', '.join(missing[nearest])}"
    )
