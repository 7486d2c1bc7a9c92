"""The command `softbench list`: what rooms hold, without importing what lies in softbench's own."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import typer

from softbench.cli.options import AsJson, PluginFiles, adopt

# Rooms of files that come with softbench, beside those of plugins.
FILES: dict[str, Literal["suite", "recipe"]] = {"suites": "suite", "recipes": "recipe"}


def list_room(
    room: Annotated[
        str | None,
        typer.Argument(
            help="attention, inverse, models, metrics, reports, tasks, suites, recipes.",
            show_default="all of them",
        ),
    ] = None,
    plugin: PluginFiles = [],
    as_json: AsJson = False,
) -> None:
    """Print what a room holds, one line each.

    Without a room, the names in every one. Nothing in softbench's own rooms is imported for it.
    """
    from softbench import plugins

    adopt(plugin)
    rooms = (*plugins.ROOMS, *FILES)
    if room is None:
        names = {one: list(_held(one)) for one in rooms}
        _print(names if as_json else {one: ", ".join(names[one]) for one in rooms}, as_json)
        return
    refuse_unknown_room(room, rooms)
    _print(_held(room), as_json)


def _held(room: str) -> dict[str, str]:
    """What is in a room, by name, with what it says of itself."""
    from softbench import plugins, suite

    if room in FILES:
        files = suite.packaged(FILES[room])
        return {name: suite.first_comment(path) for name, path in files.items()}
    return {name: _summary(room, name) for name in plugins.names(room)}


def _summary(room: str, name: str) -> str:
    """What a plugin says of itself, or why it cannot: one that is broken hides no other."""
    from softbench import plugins

    try:
        return plugins.summary(room, name)
    except plugins.BrokenPluginError as error:
        return str(error)


def refuse_unknown_room(room: str, rooms: tuple[str, ...]) -> None:
    """Raises UnknownNameError for a room that is none of `rooms`, with the nearest one."""
    from softbench import plugins

    if room not in rooms:
        raise plugins.UnknownNameError(f"no room {room!r}; {plugins.did_you_mean(room, rooms)}")


def _print(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(found, indent=1, ensure_ascii=False))
        return
    width = max(map(len, found), default=0)
    for name, text in found.items():
        print(f"{name:<{width}}  {text}")
