"""Which statistic, location and margin the gate takes: chosen on the first 20 rounds alone.

Run as `python results/gate/choice.py results/gate/gate_check/ENVIRONMENT`; writes choice.md beside
itself. A pair of processes gives a cell one log-ratio: of a quantile of each side's slots, or the
median of the slots' own ratios. Those of the twelve pairs go through sign flips, jointly over all
cells, with one of three scores: differences (Student's), differences cut at 1.5 times their median
size (Huber's), signed ranks (Wilcoxon's).
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Sequence
from math import log1p
from pathlib import Path

from softbench.gate import rounds as kept
from softbench.gate.ratios import Ratios, of_quantiles, slot_by_slot
from softbench.gate.rounds import Round
from softbench.statistics import sign_flip

FIRST = 20
ALPHA = 0.05
RATIOS = {
    "minima": of_quantiles(0.0),
    "10th percentiles": of_quantiles(0.1),
    "lower quartiles": of_quantiles(0.25),
    "medians": of_quantiles(0.5),
    "slot by slot": slot_by_slot,
}
SCORES = {
    "differences": sign_flip.differences,
    "Huber": sign_flip.huber,
    "signed ranks": sign_flip.signed_ranks,
}
MARGINS = (0.0, 0.01, 0.02, 0.03)
SLOWED = ("head+5%", "head+10%", "head+20%")


def found(rounds: Sequence[Round], ratios: Ratios, score: sign_flip.Score, margin: float) -> str:
    """Rounds with a false alarm, and the share of slowed cells that are called slower."""
    alarms, slowed = 0, dict.fromkeys(SLOWED, 0)
    signs_FK = sign_flip.flips(len(rounds[0].pairs))
    for one in rounds:
        same_KC = ratios(one.pairs, "base", "head") - log1p(margin)
        alarms += bool((sign_flip.p_values(same_KC, signs_FK, score) <= ALPHA).any())
        for head in SLOWED:
            slow_KC = ratios(one.pairs, "base", head) - log1p(margin)
            for cell in range(same_KC.shape[1]):
                mixed_KC = same_KC.copy()
                mixed_KC[:, cell] = slow_KC[:, cell]
                slowed[head] += bool(sign_flip.p_values(mixed_KC, signs_FK, score)[cell] <= ALPHA)
    trials = len(rounds) * len(rounds[0].cells)
    shares = " | ".join(f"{100 * slowed[head] / trials:.1f} %" for head in SLOWED)
    return f"{alarms} of {len(rounds)} | {shares}"


def lines(rounds: Sequence[Round]) -> Iterator[str]:
    """The table, a row for each way to judge."""
    yield "| Ratio of a pair | Score | Margin | Rounds with an alarm | +5 % | +10 % | +20 % |"
    yield "| :--- | :--- | ---: | ---: | ---: | ---: | ---: |"
    for (name, ratios), (score, scored), margin in itertools.product(
        RATIOS.items(), SCORES.items(), MARGINS
    ):
        told = found(rounds, ratios, scored, margin)
        yield f"| {name} | {score} | {100 * margin:g} % | {told} |"


def main() -> None:
    """Write the page of the rounds in the folder given."""
    rounds = kept.read(Path(sys.argv[1]))[:FIRST]
    heading = (
        "# Which statistic the gate takes\n\n"
        f"Made by `python results/gate/choice.py {sys.argv[1]}` from the first {len(rounds)} "
        "rounds; later rounds had no part in it.\n\n"
    )
    page = heading + "\n".join(lines(rounds)) + "\n"
    Path(__file__).with_suffix(".md").write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
