"""How long a call is expected to take: along its family, else by what it does and the rates.

Mutants seen red: the slope replaced by the rate of the shortest case, a slope that noise turned
down followed, bytes left out, pages just fetched counted once, exponentials left out, operators
left out.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from softbench.metrics._roofline import Rates
from softbench.metrics._work import Work
from softbench.worker.expected import FRESH_WRITES, OPERATOR_SECONDS, seconds_by_rates, seconds_of

# A thousand FLOPs and nothing else, on a machine that takes a millisecond a FLOP.
WORK = Work(flops=1000, compulsory_bytes=0, moved_bytes=0, exponentials=0, operators=0)
RATES = Rates(gemm=1e3, stream=1e2, exponential=1e1)


@pytest.mark.parametrize(
    ("seen", "seconds"),
    [
        ([], 1000 * 1e-3),  # never seen: by the rates
        ([(10, 5.0)], 5.0 + 990 * 1e-3),  # an overhead is not multiplied
        ([(10, 5.0), (110, 6.0)], 6.0 + 890 * 1e-2),  # along the slope
        ([(10, 5.0), (110, 4.0)], 4.0 + 890 * 1e-3),  # noise is no slope
        ([(10, 1.0), (600, 5.0), (1400, 9.0)], 7.0),  # in between
        ([(2000, 5.0), (4000, 9.0)], 5.0),  # shorter than all
    ],
)
def test_time_follows_what_the_family_took(seen: list[tuple[int, float]], seconds: float) -> None:
    assert seconds_of(WORK, seen, RATES) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("field", "amount", "seconds"),
    [
        ("moved_bytes", 100, 1.0),
        ("fresh_bytes", 100, FRESH_WRITES * 1.0),
        ("exponentials", 20, 2.0),
        ("operators", 4, 4 * OPERATOR_SECONDS),
        ("compulsory_bytes", 100, 0.0),  # among the bytes moved already
    ],
)
def test_what_was_never_seen_takes_a_sum(field: str, amount: int, seconds: float) -> None:
    more = replace(WORK, **{field: amount})
    assert seconds_by_rates(more, RATES) == pytest.approx(1.0 + seconds)
