"""Each mechanism against each softmax on each quantity, and what came of it in words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from softbench.case import Better, Mode
from softbench.reports._groups import Group
from softbench.reports._points import Point, Series
from softbench.statistics.crossing import Crossing, crossing
from softbench.statistics.crossover import Crossover, crossover
from softbench.statistics.interval import Estimate

RIVAL = "softmax"
NO_LENGTH = "no common length"


@dataclass(frozen=True)
class Duel:
    """One mechanism, one softmax, one quantity: the lengths at which both were measured.

    `lost` are the rival's points that were not measured where the mechanism's were.
    """

    own: Series
    rival: Series
    mode: Mode
    quantity: str
    found: Mapping[int, tuple[Point, Point]]
    lost: tuple[Point, ...]

    @property
    def pairs(self) -> dict[int, tuple[Estimate, Estimate]]:
        """What was measured of both, by length."""
        return {
            length: (own.estimate, rival.estimate)
            for length, (own, rival) in self.found.items()
            if own.estimate and rival.estimate
        }

    @property
    def better(self) -> Better:
        """Which way is better."""
        return next((own.better for own, _ in self.found.values()), "lower")

    @property
    def crossover(self) -> Crossover | None:
        """From where on the mechanism is better; None without a common length."""
        return crossover(self.pairs, self.better) if self.pairs else None

    @property
    def crossing(self) -> Crossing | None:
        """Where the two curves cross; None without a common length, and for counts.

        Between two lengths nobody counted: there the crossover's bracket says all there is.
        """
        exact = all(one.exact for pair in self.pairs.values() for one in pair)
        return None if exact else crossing(self.pairs, self.better)

    @property
    def text(self) -> str:
        """The crossover as a table says it."""
        return words(self.crossover)

    @property
    def place(self) -> str:
        """Where the curves cross, with its interval; empty where they do not."""
        found = self.crossing
        if found is None or found.at is None:
            return ""
        low = f"{found.low:,.0f}" if found.low else f"below {found.lengths[0]:,}"
        high = f"{found.high:,.0f}" if found.high else f"above {found.lengths[-1]:,}"
        return f"{found.at:,.0f} [{low}, {high}]"


def duels(group: Group, mode: Mode, quantities: Sequence[str]) -> list[Duel]:
    """Every mechanism against every softmax of the same token grid and seed."""
    cells: dict[tuple[Series, str], dict[int, Point]] = defaultdict(dict)
    for point in group.points:
        if point.mode == mode:
            cells[point.series, point.quantity][point.seq_len] = point
    rivals = [one for one in group.series if one.attention == RIVAL]
    return [
        _duel((own, rival), mode, quantity, cells)
        for own in group.series
        if own.attention != RIVAL
        for rival in rivals
        if (rival.layout, rival.seed) == (own.layout, own.seed)
        for quantity in quantities
        if cells.get((own, quantity)) and cells.get((rival, quantity))
    ]


def words(found: Crossover | None) -> str:
    """A crossover in a few words, with a bound where it is censored."""
    if found is None:
        return NO_LENGTH
    after = "" if found.after is None else f"{found.after:,}"
    until = "" if found.until is None else f"{found.until:,}"
    if found.kind == "not_within":
        return f"not within the range (to {after})"
    if found.kind == "below":
        return f"below {until}"
    if found.kind == "between":
        return f"({after}, {until}]"
    if not after and not until:
        return "undetermined"
    if not after:
        return f"undetermined up to {until}"
    return f"undetermined between {after} and {until}" if until else f"undetermined above {after}"


def _duel(
    sides: tuple[Series, Series],
    mode: Mode,
    quantity: str,
    cells: Mapping[tuple[Series, str], Mapping[int, Point]],
) -> Duel:
    own, rival = (cells[side, quantity] for side in sides)
    measured = [length for length, point in own.items() if point.estimate]
    found = {n: (own[n], rival[n]) for n in measured if n in rival and rival[n].estimate}
    lost = tuple(rival[n] for n in measured if n in rival and not rival[n].estimate)
    return Duel(*sides, mode, quantity, found, lost)
