"""What differs between the counts of a suite's cases and those of its baseline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from softbench.case import Case
from softbench.gate.baseline import QUANTITIES, Entry
from softbench.gate.naming import flat_of
from softbench.gate.outcome import Change, Trouble

Entries = Mapping[str, Entry]


def changes(found: Entries, known: Entries, budgets: Mapping[str, float]) -> list[Change]:
    """Counts of cases in both that are not the same, beyond the budget of their quantity.

    budgets: the share by which a quantity may differ; those not named may not differ at all.
    """
    return [
        change
        for name, entry in found.items()
        if name in known and entry.unsupported is None and known[name].unsupported is None
        for change in _of_one(name, known[name], entry, budgets)
    ]


def _of_one(
    name: str, known: Entry, found: Entry, budgets: Mapping[str, float]
) -> Iterator[Change]:
    change = partial(Change, case=found.case, name=name)
    if known.ran != found.ran:
        before, after = known.ran or "nothing", found.ran or "nothing"
        yield change(quantity="backend_ran", unit="", before=before, after=after)
    for quantity, unit in QUANTITIES.items():
        old, new = known.counts[quantity], found.counts[quantity]
        budget = budgets.get(quantity, 0.0)
        swapped = _swapped(known.by_operator, found.by_operator) if quantity == "operators" else {}
        if max(abs(new - old), _moved(swapped)) > budget * old:
            yield change(
                quantity=quantity,
                unit=unit,
                before=old,
                after=new,
                budget=budget,
                operators=swapped,
            )
    yield from _of_one_run(known, found, change, budgets.get("operators", 0.0))


def _of_one_run(
    known: Entry, found: Entry, change: Callable[..., Change], budget: float
) -> Iterator[Change]:
    """What is dispatched where the case runs, if both were run."""
    if known.on_device is None or found.on_device is None:
        return
    old, new = sum(known.on_device.values()), sum(found.on_device.values())
    swapped = _swapped(known.on_device, found.on_device)
    if max(abs(new - old), _moved(swapped)) > budget * old:
        where = f"operators on {found.case.device}"
        yield change(
            quantity=where,
            unit="count",
            before=old,
            after=new,
            budget=budget,
            operators=swapped,
        )


def _swapped(known: Mapping[str, int], found: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """Operators whose number is not the same, from how many to how many."""
    before, after = Counter(known), Counter(found)
    every = sorted({*before, *after})
    return {name: (before[name], after[name]) for name in every if before[name] != after[name]}


def _moved(swapped: Mapping[str, tuple[int, int]]) -> int:
    """How many operators came or went, whichever are more: another kernel may call as many."""
    steps = [after - before for before, after in swapped.values()]
    return max(sum(s for s in steps if s > 0), -sum(s for s in steps if s < 0), 0)


def troubles(found: Entries, known: Entries, holder: str = "the baseline") -> list[Trouble]:
    """Cases that only one of the two has, or that are another case or have another meaning now.

    holder: who holds those known, in words.
    """
    gone = {name: entry for name, entry in known.items() if name not in found}
    fresh = {name: entry for name, entry in found.items() if name not in known}
    both = {name: (known[name], entry) for name, entry in found.items() if name in known}
    return [
        *(_missing(name, entry, fresh, holder) for name, entry in gone.items()),
        *(_new(name, holder) for name, entry in fresh.items() if not _twin(entry.case, gone)),
        *(_other(name, *pair) for name, pair in both.items() if _is_other(*pair)),
    ]


def _missing(name: str, entry: Entry, fresh: Entries, holder: str) -> Trouble:
    twin = _twin(entry.case, fresh)
    if twin:
        return Trouble(kind="renamed", name=name, reason=f"the suite calls this case {twin!r} now")
    reason = f"{holder} has this case, the suite no longer has it"
    return Trouble(kind="missing", name=name, reason=reason)


def _new(name: str, holder: str) -> Trouble:
    return Trouble(kind="new", name=name, reason=f"the suite has this case, {holder} has not")


def _twin(case: Case, others: Entries) -> str | None:
    """The name under which others have the same case."""
    return next((name for name, entry in others.items() if entry.case == case), None)


def _is_other(known: Entry, found: Entry) -> bool:
    return known.case != found.case or known.unsupported != found.unsupported


def _other(name: str, known: Entry, found: Entry) -> Trouble:
    """One name, but what it stands for has changed."""
    if known.case != found.case:
        before, after = (flat_of(entry.case) for entry in (known, found))
        keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
        told = ", ".join(f"{key} was {before.get(key)}, is {after.get(key)}" for key in keys)
        return Trouble(kind="renamed", name=name, reason=f"no longer the same case: {told}")
    if found.unsupported:
        return Trouble(kind="failed", name=name, reason=f"unsupported now: {found.unsupported}")
    return Trouble(kind="stale", name=name, reason=f"was unsupported: {known.unsupported}")
