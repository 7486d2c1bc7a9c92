"""SI values as people read them: 0.0012 s is 1.2 ms, 2**30 byte is 1 GiB."""

from __future__ import annotations

import math

STEPS: dict[str, tuple[tuple[float, str], ...]] = {
    "s": ((1e-9, "ns"), (1e-6, "µs"), (1e-3, "ms"), (1.0, "s")),
    "image/s": ((1.0, "image/s"),),
    "byte": tuple(
        (2.0 ** (10 * i), unit) for i, unit in enumerate(["B", "KiB", "MiB", "GiB", "TiB", "PiB"])
    ),
}
# The unit of a table's column: what to divide by, and what the heading says.
COLUMN = {"s": (1e-3, "ms"), "byte": (2.0**20, "MiB"), "FLOP": (1e9, "GFLOP"), "MAC": (1e9, "G")}
SIGNIFICANT = 3
MOST_SIGNIFICANT = 6
SMALLEST_PLAIN = 1e-3
WORDLESS = ("count", "1")


def human(value: float, unit: str) -> str:
    """`value` with the unit that keeps it between 1 and 1000, to three significant digits."""
    if value == 0:
        return f"0 {_word(unit)}".strip()
    if unit == "1":
        return number(value)
    steps = steps_of(unit)
    size, shown = next((s for s in reversed(steps) if abs(value) >= s[0] * 0.9995), steps[0])
    return f"{number(value / size)} {shown}".strip()


def steps_of(unit: str) -> tuple[tuple[float, str], ...]:
    """The units that `unit` is read in, from small to large: (size, name)."""
    prefixes = enumerate(["", "k", "M", "G", "T", "P", "E"])
    return STEPS.get(unit) or tuple((1e3**i, prefix + _word(unit)) for i, prefix in prefixes)


def column_unit(unit: str) -> tuple[float, str]:
    """What a table's column divides by and calls its unit."""
    return COLUMN.get(unit, (1.0, _word(unit)))


def number(value: float, decimals: int | None = None) -> str:
    """`value` with so many decimals (default: three significant digits), thousands apart.

    Without `decimals`, what would begin with three zeros or more is written as a power of ten.
    """
    if decimals is None and 0 < abs(value) < SMALLEST_PLAIN:
        return f"{value:.{SIGNIFICANT - 1}e}"
    return f"{value:,.{decimals_of(value) if decimals is None else decimals}f}"


def percent(fraction: float) -> str:
    """A fraction in percent, to two digits at least."""
    told = 100 * fraction
    return f"{told:.0f} %" if told >= 10 else f"{told:.2g} %"


def decimals_of(value: float, half_width: float | None = None) -> int:
    """The decimals that show three digits of `value` and the first digit of its uncertainty."""
    if value == 0:
        return 0
    magnitude = math.floor(math.log10(abs(value)))
    wanted = SIGNIFICANT - 1 - magnitude
    if half_width:
        wanted = max(wanted, -math.floor(math.log10(half_width)))
    return max(0, min(wanted, MOST_SIGNIFICANT - 1 - magnitude))


def _word(unit: str) -> str:
    return "" if unit in WORDLESS else unit
