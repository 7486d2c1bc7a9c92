"""The best curve through the medians of processes by length, and how they scatter about it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from softbench.statistics import _curve, _scatter
from softbench.statistics._curve import Best, Cells
from softbench.statistics._scatter import NEGLIGIBLE, Scatter

if TYPE_CHECKING:
    from softbench.statistics._curve import Array

EXPONENT = 2  # its place among log t_1, depth and exponent
FEWEST_LENGTHS = 4  # one more than there are parameters
Processes = Mapping[int, Sequence[int]]


@dataclass(frozen=True)
class Fitted:
    """The best curve through `cells` (see _curve).

    `scatter` is None where every length was measured by a single process.
    """

    lengths: tuple[int, ...]
    cells: Cells
    best: Best
    exact: bool
    scatter: Scatter | None

    @property
    def parameters(self) -> tuple[float, float, float]:
        """Exponent, floor and scale."""
        first, start = self._first(), math.log(self.lengths[0])
        floor = -math.exp(first) * math.expm1(-self.best.depth)
        scale = math.exp(first - self.best.depth - self.best.exponent * start)
        return self.best.exponent, floor, scale

    @property
    def holds(self) -> bool | None:
        """Whether the curve explains the lengths; None where nothing is known of their scatter."""
        if self.scatter is None:
            return None
        if self.scatter.even:
            return self.farthest < NEGLIGIBLE
        return not self.scatter.missed(self.influences[EXPONENT])

    @property
    def still(self) -> bool:
        """Whether nothing scatters: no process differs from another, no length from the curve."""
        still = self.scatter is not None and self.scatter.still
        return still and self.farthest < NEGLIGIBLE

    @cached_property
    def influences(self) -> Array:
        """How log t_1, depth and exponent move with the mean log median at each length: [3, N]."""
        import numpy as np

        roots = np.sqrt(self.cells.weights)
        slopes = self.slopes(self.cells.steps) * roots[:, None]
        inverse: Array = np.asarray(np.linalg.pinv(slopes), dtype=float)
        return inverse * roots

    @property
    def farthest(self) -> float:
        """The largest relative distance of a length from the curve."""
        import numpy as np

        return float(np.abs(np.expm1(self.cells.levels - self.logs(self.cells.steps))).max())

    def steps(self, lengths: Sequence[float]) -> Array:
        """How many times as long as the shortest, as logarithms."""
        import numpy as np

        return np.log(np.asarray(lengths, dtype=float) / self.lengths[0])

    def logs(self, steps: Array) -> Array:
        """The logarithm of the curve."""
        logs: Array = self._first() + _curve.growth(*self.place(), steps)[0]
        return logs

    def slopes(self, steps: Array) -> Array:
        """How the logarithm of the curve moves with log t_1, the depth and the exponent: [N, 3]."""
        import numpy as np

        exponent, depth = self.place()
        grown = _curve.growth(exponent, depth, steps)
        by_depth, by_exponent = _curve.slopes(grown, depth, steps)
        return np.stack([np.ones_like(steps), by_depth[0], by_exponent[0]], axis=1)

    def place(self) -> tuple[Array, Array]:
        """Exponent and depth as the lattice takes them."""
        import numpy as np

        return np.array([self.best.exponent]), np.array([self.best.depth])

    def _first(self) -> float:
        return float(_curve.first(self.cells, *self.place())[0])


def fitted(medians: Mapping[int, Sequence[float]], processes: Processes | None = None) -> Fitted:
    """The best curve. Raises ValueError for what `power_law.fit` refuses."""
    import numpy as np

    _refuse(medians, processes)
    lengths = tuple(sorted(medians))
    each = [medians[length] for length in lengths]
    counts = np.array([len(values) for values in each], dtype=float)
    levels = np.array([math.fsum(map(math.log, values)) / len(values) for values in each])
    cells = Cells(np.log(np.array(lengths, dtype=float) / lengths[0]), levels, counts)
    best = _curve.best(cells)
    exact = all(isinstance(m, int) and m == values[0] for values in each for m in values)
    # Of counts one process tells as much as two that must agree.
    logs = levels[:, None].repeat(2, axis=1) if exact else _by_process(medians, processes)
    return Fitted(lengths, cells, best, exact, _scatter.scatter(logs, best.misfit))


def _by_process(medians: Mapping[int, Sequence[float]], processes: Processes | None) -> Array:
    """Log medians, lengths in order by processes; NaN where a process did not measure."""
    import numpy as np

    lengths = sorted(medians)
    of = processes or {length: range(len(medians[length])) for length in lengths}
    columns = sorted({process for length in lengths for process in of[length]})
    logs = np.full((len(lengths), len(columns)), np.nan)
    for row, length in enumerate(lengths):
        for process, median in zip(of[length], medians[length], strict=True):
            logs[row, columns.index(process)] = math.log(median)
    return logs


def _refuse(medians: Mapping[int, Sequence[float]], processes: Processes | None) -> None:
    if len(medians) < FEWEST_LENGTHS:
        raise ValueError(
            f"a scaling law needs at least {FEWEST_LENGTHS} lengths, got {sorted(medians)}"
        )
    for length, values in medians.items():
        if length < 1 or not values or not all(0 < value < math.inf for value in values):
            raise ValueError(
                f"length {length} with medians {list(values)}: a scaling law needs a positive "
                "length and at least one positive median there"
            )
        if processes and len(set(processes.get(length, ()))) != len(values):
            raise ValueError(
                f"length {length} with {len(values)} medians of the processes "
                f"{list(processes.get(length, ()))}: each median needs a process of its own"
            )
