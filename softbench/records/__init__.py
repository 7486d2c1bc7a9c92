"""Append-only JSON lines: one record a line, written by one driver at a time, never rewritten.

Every line carries the hash of its own content, so that a line cut off or edited by hand is
found and named; the good lines around it stay as they are.
"""

from softbench.records.exporting import export
from softbench.records.reading import (
    DAMAGED,
    FILE,
    RecordsError,
    examine,
    latest,
    of_newest_protocol,
    read,
)
from softbench.records.writing import Store, repair

__all__ = [
    "DAMAGED",
    "FILE",
    "RecordsError",
    "Store",
    "examine",
    "export",
    "latest",
    "of_newest_protocol",
    "read",
    "repair",
]
