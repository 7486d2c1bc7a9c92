"""Each mechanism against each softmax on each quantity, and what came of it in words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from softbench.case import Mode, Status
from softbench.reports._groups import Group
from softbench.reports._labels import STATUS, labels, quantity_name
from softbench.reports._points import Point, Series
from softbench.statistics.crossover import Crossover, crossover

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
    def crossover(self) -> Crossover | None:
        """From where on the mechanism is better; None without a common length."""
        pairs = {
            length: (own.estimate, rival.estimate)
            for length, (own, rival) in self.found.items()
            if own.estimate and rival.estimate
        }
        direction = [own.better for own, _ in self.found.values()]
        return crossover(pairs, direction[0]) if pairs else None

    @property
    def text(self) -> str:
        """The crossover as a table says it."""
        return words(self.crossover)


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


def remarks(found: Sequence[Duel], names: Mapping[Series, str]) -> list[str]:
    """What the table's cells leave out: softmax not measured at some lengths, passing wins."""
    lost: dict[tuple[Series, Status, str], set[int]] = defaultdict(set)
    for duel in found:
        for point in duel.lost:
            lost[duel.rival, point.status, duel.quantity].add(point.seq_len)
    alike: dict[str, list[str]] = defaultdict(list)
    for (rival, status, quantity), at in lost.items():
        alike[f"{names[rival]} {STATUS[status]} at N = {_listed(at)}"].append(_inline(quantity))
    said = [f"{what} ({', '.join(quantities)})" for what, quantities in alike.items()]
    passing = [f"{names[d.own]} {text}" for d in found if (text := _passing(d, names))]
    return [
        f"Not compared, though a mechanism was measured there: {'; '.join(said)}." if said else "",
        f"Better for a while only: {'; '.join(passing)}." if passing else "",
    ]


def rows(group: Group, found: Sequence[Duel]) -> list[dict[str, object]]:
    """Every duel as a row of the CSV, with the ids of the records it came from."""
    names = labels(group.series)
    return [
        {
            "mechanism": names[duel.own],
            "params": duel.own.params,
            "rival": names[duel.rival],
            "mode": duel.mode,
            "quantity": duel.quantity,
            **_outcome(duel),
            "lengths": " ".join(map(str, sorted(duel.found))),
            "remark": " ".join(remarks([duel], names)).strip(),
            **group.fixed,
            "record_ids": " ".join(_sources(duel)),
        }
        for duel in found
    ]


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


def _outcome(duel: Duel) -> dict[str, object]:
    found = duel.crossover
    return {
        "crossover": duel.text,
        "kind": found.kind if found else None,
        "after": found.after if found else None,
        "until": found.until if found else None,
        "better_at": " ".join(map(str, found.wins)) if found else "",
    }


def _passing(duel: Duel, names: Mapping[Series, str]) -> str:
    found = duel.crossover
    if found is None or found.after is None:
        return ""
    early = {n for n in found.wins if n < found.after}
    against = f"than {names[duel.rival]} ({_inline(duel.quantity)})"
    return f"{against} at N = {_listed(early)}" if early else ""


def _inline(quantity: str) -> str:
    """A quantity's name within a sentence."""
    name = quantity_name(quantity)
    return name if name[:2].isupper() else name[0].lower() + name[1:]


def _sources(duel: Duel) -> list[str]:
    pairs = [pair for _, pair in sorted(duel.found.items())]
    return [id_ for pair in pairs for point in pair for id_ in point.record_ids]


def _listed(lengths: set[int]) -> str:
    return ", ".join(f"{length:,}" for length in sorted(lengths))
