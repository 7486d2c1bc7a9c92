"""How often something happens, from how often it did."""

from __future__ import annotations


def clopper_pearson(found: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """The exact two-sided interval of a rate (Clopper and Pearson, Biometrika 26, 1934).

    Raises ValueError if `found` is not between 0 and `trials`.
    """
    from scipy.special import betaincinv

    if not 0 <= found <= trials or not trials:
        raise ValueError(f"{found} of {trials} is no rate")
    tail = (1 - level) / 2
    low = float(betaincinv(found, trials - found + 1, tail)) if found else 0.0
    high = float(betaincinv(found + 1, trials - found, 1 - tail)) if found < trials else 1.0
    return low, high
