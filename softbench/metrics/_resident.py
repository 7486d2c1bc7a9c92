"""The most physical memory that this process held at one time during a call, and before it.

Linux keeps the highest resident size of a process (VmHWM, proc(5)) and starts it over at what is
resident now when 5 is written to clear_refs; no other system tells it of a stretch of time.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from softbench.case import Unsupported

OWN = Path("/proc/self")


def resident_bytes(call: Callable[[], object], process: Path = OWN) -> tuple[int, int]:
    """(peak, before) in bytes of `call`, whose result is dropped after the peak is read.

    Raises Unsupported where the system does not tell.
    """
    try:
        (process / "clear_refs").write_text("5")
        before = _status(process, "VmRSS")
    except OSError as error:
        raise Unsupported(f"the system tells no resident peak of a call: {error}") from None
    result = call()
    peak = _status(process, "VmHWM")
    del result
    return peak, before


def _status(process: Path, name: str) -> int:
    told = re.search(rf"^{name}:\s+(\d+) kB$", (process / "status").read_text(), re.MULTILINE)
    if told is None:
        raise OSError(f"no {name} in {process / 'status'}")
    return int(told[1]) * 1024
