"""Which metrics run a case, and which only look at its shapes."""

from __future__ import annotations

from softbench import plugins
from softbench.case import CLOCKED


def only_counts(metric: str) -> bool:
    """Whether the metric of that name never runs a case, so that no length is too long for it.

    Raises UnknownNameError and BrokenPluginError.
    """
    module = plugins.load("metrics", metric)
    return not module.REPEATED and not hasattr(module, "work")


def is_clocked(metric: str) -> bool:
    """Whether a clock tells the metric of that name, so that nothing else may run beside it.

    A training is not: its seconds are the processor's, which count the work and not the waiting.
    Raises UnknownNameError and BrokenPluginError.
    """
    module = plugins.load("metrics", metric)
    return not hasattr(module, "Recipe") and any(
        u in CLOCKED for u, _ in module.QUANTITIES.values()
    )
