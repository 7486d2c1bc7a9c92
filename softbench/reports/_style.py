"""How the figures look: colours, markers and dashes that survive grey print and colour blindness.

The palette follows Okabe and Ito's, darkened so that the core six also differ in lightness
(checked by a test). A mechanism keeps its colour and marker in every figure: the core six have
theirs, any other takes them from a hash of its name. Series that share a look differ in dash and
marker fill, the first backend being solid and filled. Circles, crosses and stars are left to the
cells that could not be measured.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from softbench.reports._labels import solver
from softbench.reports._points import Series

Dash = tuple[int, tuple[float, ...]]
POINT_SIZE = 7.0  # no text is smaller: it must be readable at print size


@dataclass(frozen=True)
class Look:
    """What all series of one mechanism share."""

    colour: str
    marker: str


@dataclass(frozen=True)
class Stroke:
    """How one series is drawn."""

    look: Look
    dash: Dash
    fill: str


CORE = {
    "softmax": Look("#000000", "s"),
    "nystromformer": Look("#1B4F8F", ">"),
    "soft": Look("#C24A00", "D"),
    "performer": Look("#009E73", "P"),
    "linformer": Look("#56A8E0", "v"),
    "soft_norm": Look("#E8AE20", "^"),
}
SOLVERS = {
    "newton": Look("#C24A00", "D"),
    "newton_spd": Look("#1B4F8F", ">"),
    "hyperpower": Look("#009E73", "P"),
    "spectral_newton": Look("#E8AE20", "^"),
    "cholesky": Look("#000000", "s"),
    "svd": Look("#56A8E0", "v"),
}
SAME_AS_ANOTHER = ("spectral_newton",)  # T steps of Newton, by another way
SPARE_COLOURS = ("#7B3294", "#CC79A7", "#6B6B00", "#8C564B", "#707070")
SPARE_MARKERS = ("<", "p", "d", "X", "*")
DASHES: tuple[Dash, ...] = (
    (0, ()),
    (0, (4, 1.6)),
    (0, (1.2, 1.2)),
    (0, (6, 1.5, 1.2, 1.5)),
    (0, (8, 2)),
    (0, (4, 1.2, 1.2, 1.2, 1.2, 1.2)),
)
FILLS = ("full", "none", "left", "top", "bottom")
BACKENDS = {"eager": 0, "sdpa": 1}


def look(attention: str) -> Look:
    """The colour and marker of a mechanism, the same in every figure and on every machine."""
    return CORE.get(attention) or _spare(attention)


def strokes(series: Sequence[Series]) -> dict[Series, Stroke]:
    """A stroke for each series, no two alike up to 30 series of one look."""
    return _strokes(series, {one: look(one.attention) for one in series})


def solver_strokes(series: Sequence[Series]) -> dict[Series, Stroke]:
    """As `strokes`, but solvers have their own look; a mechanism without a choice keeps its own.

    What computes the same as another solver is dashed and hollow, so that the other shows inside.
    """
    looks = {}
    for one in series:
        name = solver(one)
        looks[one] = (SOLVERS.get(name) or _spare(name)) if name else look(one.attention)
    drawn = _strokes(series, looks)
    twins = {one: replace(drawn[one], dash=DASHES[1], fill="none") for one in series if _twin(one)}
    return drawn | twins


def _twin(one: Series) -> bool:
    return solver(one) in SAME_AS_ANOTHER


def _spare(name: str) -> Look:
    digest = hashlib.sha256(name.encode()).digest()
    return Look(
        SPARE_COLOURS[digest[0] % len(SPARE_COLOURS)], SPARE_MARKERS[digest[1] % len(SPARE_MARKERS)]
    )


def _strokes(series: Sequence[Series], looks: Mapping[Series, Look]) -> dict[Series, Stroke]:
    taken: dict[Look, set[int]] = {}
    drawn = {}
    for one in sorted(series, key=lambda s: _place(s.backend)):
        used = taken.setdefault(looks[one], set())
        slot = _place(one.backend)
        while slot in used:
            slot += 1
        used.add(slot)
        drawn[one] = Stroke(looks[one], DASHES[slot % len(DASHES)], FILLS[slot % len(FILLS)])
    return {one: drawn[one] for one in series}


def _place(backend: str) -> int:
    """The slot a backend prefers, so that it looks alike from figure to figure."""
    digest = hashlib.sha256(backend.encode()).digest()
    return BACKENDS.get(backend, 2 + digest[0] % (len(DASHES) - 2))


def settings() -> dict[Any, Any]:
    """Matplotlib's settings for print: embedded fonts, text that stays text, no random ids."""
    return {
        "font.family": "DejaVu Sans",  # comes with matplotlib: the same on every machine
        "font.size": POINT_SIZE,
        "axes.titlesize": POINT_SIZE + 1,
        "axes.labelsize": POINT_SIZE + 0.5,
        "xtick.labelsize": POINT_SIZE,
        "ytick.labelsize": POINT_SIZE,
        "legend.fontsize": POINT_SIZE + 0.5,
        "axes.linewidth": 0.6,
        "axes.grid": True,
        "grid.color": "#E4E4E4",
        "grid.linewidth": 0.4,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "xtick.minor.size": 2,
        "ytick.minor.size": 0,
        "pdf.fonttype": 42,
        "svg.fonttype": "none",
        "svg.hashsalt": "softbench",
    }
