"""What all lengths of one process have in common, and how far each scatters beside that.

One process measures every length. Its load, its clock or where its memory lies shift all of them
together, so that lengths are no independent witnesses of how high a curve lies. The logarithms are
therefore taken as log t(N) + c + e, with c drawn once a process and e at each of its lengths, and
both variances from how the lengths vary together over the processes: as Grubbs (1948) parts what
is measured from the instruments, the lengths being the instruments. Nothing is assumed of which
lengths are noisy. Unbiased where every process measured every length, close where some are missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

FEWEST_LENGTHS = 3  # two have one covariance, and nothing tells which of them is the noisier


@dataclass(frozen=True)
class Parted:
    """The variance of a single process: `alone` at each length, and what is `common` to all.

    `pooled` is the former if all lengths were alike, with `freedom` degrees in all. `sharing` are
    the degrees of freedom of what is common.
    """

    alone: Array
    pooled: float
    freedom: float
    common: float
    sharing: float


def parted(logs: Array) -> Parted:
    """Both variances of log medians, [lengths, processes], NaN where a process did not measure.

    Every length has at least two processes. Where the two cannot be told apart (below three
    lengths, or where processes share too few) nothing is taken to be common.
    """
    import numpy as np

    there = ~np.isnan(logs)
    logs, there = logs[:, there.any(axis=0)], there[:, there.any(axis=0)]
    size, counts = len(logs), there.sum(axis=1)
    means = np.where(there, logs, 0.0).sum(axis=1) / counts
    off = np.where(there, logs - means[:, None], 0.0)
    sharing = float(there.shape[1] - 1)
    freedom = float((counts - 1).sum()) - sharing
    if size < FEWEST_LENGTHS or freedom < 1:
        return _unparted(off, counts)
    shifts = off.sum(axis=0) / there.sum(axis=0)
    left = np.where(there, off - shifts + ((there @ shifts) / counts)[:, None], 0.0)
    found = (left**2).sum(axis=1) / (counts - 1)
    pooled = float(found.sum()) / (size - 1)
    alone = (found - pooled / size) * size / (size - 2)
    common = _common(shifts, alone, there)
    return Parted(np.maximum(alone, 0.0), pooled, freedom, max(common, 0.0), sharing)


def _common(shifts: Array, alone: Array, there: NDArray[np.bool_]) -> float:
    """By how much the processes' mean shifts vary beyond what the scatter alone makes of them."""
    import numpy as np

    counts, lengths = there.sum(axis=1), there.sum(axis=0)
    noise = float((alone * (1 - 1 / counts)) @ (there / lengths**2).sum(axis=1))
    # A shift is told from the others' mean: how the means move with each process's own.
    moved = np.eye(len(shifts)) - (there / lengths).T @ (there / counts[:, None])
    return (float(shifts @ shifts) - noise) / float((moved**2).sum())


def _unparted(off: Array, counts: Array) -> Parted:
    squares, freedom = (off**2).sum(axis=1), float((counts - 1).sum())
    return Parted(squares / (counts - 1), float(squares.sum()) / freedom, freedom, 0.0, 1.0)
