"""What a table of duels leaves out, in words, and every duel as a row of the CSV."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from softbench.case import Status
from softbench.reports._duels import Duel
from softbench.reports._groups import Group
from softbench.reports._labels import STATUS, labels, quantity_name
from softbench.reports._points import Series


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


def several(duels: Sequence[Duel], names: Mapping[Series, str]) -> str:
    """Which pairs cross more than once: only the last crossing is told."""
    said = [
        f"{names[duel.own]} and {names[duel.rival]}"
        for duel in duels
        if (found := duel.crossing) and found.several
    ]
    return f"Crossing more than once: {'; '.join(said)}." if said else ""


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


def _outcome(duel: Duel) -> dict[str, object]:
    found, place = duel.crossover, duel.crossing
    return {
        "crossover": duel.text,
        "kind": found.kind if found else None,
        "after": found.after if found else None,
        "until": found.until if found else None,
        "better_at": " ".join(map(str, found.wins)) if found else "",
        "crossing": place.at if place else None,
        "crossing_low": place.low if place else None,
        "crossing_high": place.high if place else None,
        "crosses_several_times": place.several if place else None,
    }


def _sources(duel: Duel) -> list[str]:
    pairs = [pair for _, pair in sorted(duel.found.items())]
    return [id_ for pair in pairs for point in pair for id_ in point.record_ids]


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


def _listed(lengths: set[int]) -> str:
    return ", ".join(f"{length:,}" for length in sorted(lengths))
