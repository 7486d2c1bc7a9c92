"""What a results folder says about the machine that its records were measured on.

The description counts only if it hashes to the environment id in the records: a file left over
from another machine must not name the wrong processor under a figure.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from softbench.case import content_hash
from softbench.reports._groups import Group

FILE = "environment.json"
INVOCATIONS = "invocations.jsonl"


def facts(folder: Path, group: Group) -> dict[str, Any]:
    """What `folder` tells of the machine of a group, and "load" when its runs began, as known."""
    runs = {record.invocation for record in group.records}
    return read(folder, str(group.fixed["environment"])) | {"load": _loads(folder, runs)}


def read(folder: Path, environment: str) -> dict[str, Any]:
    """The stable facts about the machine `environment`; empty if the folder has none of it."""
    try:
        facts = json.loads((folder / FILE).read_bytes())
        known = content_hash(facts, len(environment)) == environment
    except (OSError, ValueError):
        return {}
    return facts if known and isinstance(facts, dict) else {}


def _loads(folder: Path, runs: set[str]) -> list[float]:
    """The load of the last minute before each of `runs` began."""
    try:
        lines = (folder / INVOCATIONS).read_bytes().splitlines()
    except OSError:
        return []
    return [load for line in lines if (load := _load(line, runs)) is not None]


def _load(line: bytes, runs: set[str]) -> float | None:
    """None for another run and for a line that is damaged."""
    try:
        told = json.loads(line)
        return float(told["load"][0]) if told["id"] in runs else None
    except (ValueError, KeyError, TypeError, IndexError):
        return None


def device(name: str, facts: dict[str, Any]) -> str:
    """A device with the name of its processor and, on the CPU, its threads, as far as known."""
    kind, _, index = name.partition(":")
    if kind == "cpu" and facts.get("cpu"):
        name = f"{name} ({facts['cpu']})"
    gpus = facts.get("gpus") or []
    if kind == "cuda" and int(index or 0) < len(gpus):
        name = f"{name} ({gpus[int(index or 0)]['name']})"
    threads = facts.get("threads") if kind == "cpu" else None
    return f"{name}, {threads} thread{'' if threads == 1 else 's'}" if threads else name


def memory(name: str, facts: dict[str, Any]) -> float | None:
    """The bytes of a device's memory, as far as known."""
    kind, _, index = name.partition(":")
    if kind == "cpu":
        return facts.get("memory")
    gpus = facts.get("gpus") or []
    there = kind == "cuda" and int(index or 0) < len(gpus)
    return gpus[int(index or 0)].get("memory") if there else None
