"""Reads a suite file, refuses what it does not know with the nearest right name, expands it.

A list is an axis, a scalar is fixed. A suite file is data: reading one never runs code.
"""

from softbench.suite.counting import is_clocked, only_counts
from softbench.suite.expand import expand
from softbench.suite.gating import Gate
from softbench.suite.parsing import explain, parse
from softbench.suite.reading import SuiteError, find, first_comment, packaged, read
from softbench.suite.schema import Budget, Suite

__all__ = [
    "Budget",
    "Gate",
    "Suite",
    "SuiteError",
    "expand",
    "explain",
    "find",
    "first_comment",
    "is_clocked",
    "only_counts",
    "packaged",
    "parse",
    "read",
]
