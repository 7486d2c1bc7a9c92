"""Which metrics run a case, and which only look at its shapes."""

from __future__ import annotations

from softbench import plugins


def only_counts(metric: str) -> bool:
    """Whether the metric of that name never runs a case, so that no length is too long for it.

    Raises UnknownNameError and BrokenPluginError.
    """
    module = plugins.load("metrics", metric)
    return not module.REPEATED and not hasattr(module, "work")
