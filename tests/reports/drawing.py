"""What stands on a drawn figure, read back from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from softbench.case import Record
from softbench.reports import _figure, scaling
from softbench.reports._groups import groups

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.transforms import Bbox


def drawn(records: list[Record], **facts: Any) -> Figure:
    """The scaling figure of the only group that `records` make."""
    (group,) = groups(records)
    with _figure.own_settings():
        return _figure.draw(group, scaling.quantities(group), facts)


def places(line: Line2D) -> list[tuple[float, float]]:
    xs, ys = np.asarray(line.get_data(), dtype=float)
    return list(zip(xs.tolist(), ys.tolist(), strict=True))


def threads(axes: Axes) -> list[list[tuple[float, float]]]:
    """What is thin and dashed, as nothing else is."""
    thin = [line for line in axes.get_lines() if line.get_linewidth() < 1 and line.is_dashed()]
    return [places(line) for line in thin]


def marks(axes: Axes, marker: object) -> list[tuple[float, float]]:
    lines = [line for line in axes.get_lines() if line.get_marker() == marker]
    return [place for line in lines for place in places(line)]


def texts(figure: Figure) -> str:
    found = [text.get_text() for text in figure.texts]
    for legend in figure.legends:
        found += [text.get_text() for text in legend.get_texts()]
    return " ".join(" ".join(found).split())


def written(figure: Figure) -> list[tuple[tuple[int, str], Bbox, float]]:
    """Every visible text that is not a guide's: (number, text), box, size."""
    from matplotlib.text import Annotation, Text

    found = [
        text
        for text in figure.findobj(Text)
        if isinstance(text, Text)
        and not isinstance(text, Annotation)
        and text.get_text().strip()
        and text.get_visible()
    ]
    return [
        ((i, text.get_text()), text.get_window_extent(), float(text.get_fontsize()))
        for i, text in enumerate(found)
    ]


def assert_readable(figure: Figure, smallest: float) -> None:
    """No text is small, lies over other text or leaves the page."""
    figure.draw_without_rendering()
    found = written(figure)
    assert min(size for _, _, size in found) >= smallest
    for name, box, _ in found:
        assert box.x0 >= 0, name
        assert box.y0 >= 0, name
        assert box.x1 <= figure.bbox.x1, name
        assert box.y1 <= figure.bbox.y1, name
    for i, (name, box, _) in enumerate(found):
        for other, second, _ in found[i + 1 :]:
            assert not box.overlaps(second), (name, other)
