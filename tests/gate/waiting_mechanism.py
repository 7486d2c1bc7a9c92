"""A mechanism that waits, fails or dies as it is told: its text, and trees that hold it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

TEXT = '''"""Waits (nobody, 2026)."""
import os
import time
from torch import nn
from softbench.case import Unsupported, Value

RANK = None
WAITS = {waits!r}
DOES = {does!r}
CALLS = []

class Params(Value):
    """Nothing to set."""

def waiting(name):
    def attend(q, k, v, *, params, weights, grid):
        CALLS.append(name)
        if DOES.get(name) == "fails":
            raise RuntimeError("it fails\\nin two lines")
        if DOES.get(name) == "dies":
            os._exit(3)
        if DOES.get(name) == "dies later" and len(CALLS) > 12:
            os.kill(os.getpid(), 9)
        if DOES.get(name) == "is elsewhere":
            raise Unsupported("not on this device")
        time.sleep(WAITS.get(name, 2e-3))
        return v.clone()
    return attend

BACKENDS = {{name: waiting(name) for name in {backends!r}}}
attend = BACKENDS["eager"]

def weights(shape, params, generator):
    return {{}}

def supports(shape, params):
    return None

def flops(shape, params, *, level, backend, mode):
    return {{"products": 0}}

class Attention(nn.Module):
    """None."""
'''
BACKENDS = ("eager", "slower", "quicker", "other")


def tree(
    folder: Path,
    waits: Mapping[str, float] | None = None,
    does: Mapping[str, str] | None = None,
    backends: tuple[str, ...] = BACKENDS,
) -> Path:
    """A folder with waiting.py: by backend, seconds that it waits and what else it does."""
    folder.mkdir(parents=True, exist_ok=True)
    text = TEXT.format(waits=dict(waits or {}), does=dict(does or {}), backends=backends)
    (folder / "waiting.py").write_text(text)
    return folder
