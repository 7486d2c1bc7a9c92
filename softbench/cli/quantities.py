"""Numbers as people read them: counts, bytes, seconds."""

from __future__ import annotations

from collections.abc import Sequence


def scaled(count: int | None) -> str:
    """A count with a decimal prefix: 78.7 M; "?" for None."""
    return _prefixed(count, 1000, ["", "k", "M", "G", "T", "P", "E"])


def mebi(size: int | None) -> str:
    """Bytes with a binary prefix: 4.9 MiB."""
    return _prefixed(size, 1024, ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"])


def timed(seconds: float | None) -> str:
    """Milliseconds below one second, minutes from two on, hours from two on."""
    if seconds is None:
        return "?"
    for unit, size in (("h", 3600.0), ("min", 60.0), ("s", 1.0)):
        if seconds >= size * (1 if unit == "s" else 2):
            return f"{_digits(seconds / size)} {unit}"
    return f"{_digits(seconds * 1e3)} ms"


def clock(seconds: float) -> str:
    """Whole seconds, with minutes from two on: 45 s, 9 min 20 s."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes >= 2 else f"{round(seconds)} s"


def _prefixed(number: int | None, base: int, units: Sequence[str]) -> str:
    if number is None:
        return "?"
    power = 0
    while number >= base ** (power + 1) and power < len(units) - 1:
        power += 1
    return f"{_digits(number / base**power)} {units[power]}".rstrip()


def _digits(number: float) -> str:
    """Three digits, or all of those before the point."""
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"
