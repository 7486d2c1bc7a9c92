"""Colours and strokes: stable, different, and different in grey.

Mutants seen red: Python's own salted hash for the name, two core colours of one lightness, a
stroke given out twice, fixed backends numbered by order of appearance.
"""

from __future__ import annotations

import itertools
import subprocess
import sys

from softbench.reports._marks import FAILED
from softbench.reports._points import Series
from softbench.reports._style import CORE, SPARE_COLOURS, SPARE_MARKERS, look, strokes


def lightness(colour: str) -> float:
    """CIE L* of an sRGB colour, 0 to 100."""
    levels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in levels]
    y = sum(w * v for w, v in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return 116 * y ** (1 / 3) - 16 if y > 0.008856 else 903.3 * y


def series(attention: str, backend: str = "eager", params: str = "{}") -> Series:
    return Series(attention, backend, params, False, 0, "")


def test_the_core_six_differ_in_lightness_and_in_marker() -> None:
    lights = sorted(lightness(one.colour) for one in CORE.values())
    assert min(b - a for a, b in itertools.pairwise(lights)) > 7
    assert lights[-1] < 80  # the palest still stands out from paper
    assert len({one.marker for one in CORE.values()}) == 6


def test_no_mechanism_looks_like_a_failure_or_like_a_core_one() -> None:
    spare = set(SPARE_MARKERS)
    assert not spare & {one.marker for one in CORE.values()}
    assert not (spare | {one.marker for one in CORE.values()}) & set(FAILED.values())
    assert not set(SPARE_COLOURS) & {one.colour for one in CORE.values()}


def test_an_unknown_mechanism_looks_the_same_in_every_process() -> None:
    code = "from softbench.reports._style import look; print(look('mine'))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == str(look("mine"))


def test_backends_share_the_look_and_differ_in_dash_and_fill() -> None:
    eager, sdpa = strokes([series("softmax"), series("softmax", "sdpa")]).values()
    assert eager.look == sdpa.look
    assert (eager.dash, eager.fill) == ((0, ()), "full")
    assert sdpa.dash != eager.dash
    assert sdpa.fill != eager.fill


def test_a_backend_looks_alike_with_and_without_the_others() -> None:
    alone = strokes([series("softmax", "sdpa")])
    both = strokes([series("softmax", "sdpa"), series("softmax")])
    assert alone[series("softmax", "sdpa")] == both[series("softmax", "sdpa")]


def test_many_variants_are_all_drawn_differently() -> None:
    many = [series("soft", b, str(p)) for b in ("eager", "sdpa", "triton") for p in range(10)]
    assert len(set(strokes(many).values())) == 30
