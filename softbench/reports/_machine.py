"""What a results folder says about the machine that its records were measured on.

The description counts only if it hashes to the environment id in the records: a file left over
from another machine must not name the wrong processor under a figure.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from softbench.case import content_hash

FILE = "environment.json"


def read(folder: Path, environment: str) -> dict[str, Any]:
    """The stable facts about the machine `environment`; empty if the folder has none of it."""
    try:
        facts = json.loads((folder / FILE).read_bytes())
        known = content_hash(facts, len(environment)) == environment
    except (OSError, ValueError):
        return {}
    return facts if known and isinstance(facts, dict) else {}


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
