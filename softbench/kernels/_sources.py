"""The hash of the kernels' sources, which the compiled kernels carry: a pull may leave them behind.

Needs nothing but the standard library, for setup.py reads it before anything is installed.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

FOLDER = Path(__file__).parent / "cpu"


def digest(folder: Path = FOLDER) -> str | None:
    """Sixteen hex digits of every file in `folder`; None where there are none, as in a wheel."""
    files = sorted(file for file in folder.glob("*") if file.suffix in (".cpp", ".hpp"))
    if not files:
        return None
    found = hashlib.sha256()
    for file in files:
        found.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return found.hexdigest()[:16]
