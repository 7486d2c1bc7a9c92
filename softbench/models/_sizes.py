"""The sizes of the SOFT family: depths and widths by stage (Lu et al., NeurIPS 2021, Table 1).

The paper's Small has 7 blocks in its third stage and the parameters that the paper tells of; the
released code's has 20. Both are here, under names of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SizeName = Literal["tiny", "small", "small_d20", "medium", "large", "huge"]
HEAD_DIM = 32
MLP_RATIO = 4
# Of the first three stages: tokens a landmark stands for, along a side; taps of the value
# convolution, along a side.
REDUCTIONS = (8, 4, 2)
VALUE_TAPS = (9, 5, 3)
# A token of each stage is so many pixels wide.
PATCHES = (4, 8, 16, 32)
STEM_WIDTH = 32


@dataclass(frozen=True)
class Size:
    """Blocks and channels of each of the four stages."""

    depths: tuple[int, int, int, int]
    dims: tuple[int, int, int, int]


SIZES: dict[str, Size] = {
    "tiny": Size((1, 2, 3, 2), (64, 128, 320, 512)),
    "small": Size((1, 3, 7, 4), (64, 128, 320, 512)),
    "small_d20": Size((1, 3, 20, 4), (64, 128, 320, 512)),
    "medium": Size((1, 3, 29, 5), (64, 128, 288, 512)),
    "large": Size((1, 3, 40, 5), (64, 128, 320, 512)),
    "huge": Size((1, 5, 49, 5), (64, 128, 352, 512)),
}


def grid_at(stage: int, image_size: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of the tokens of a stage: every stride rounds up."""
    patch = PATCHES[stage]
    return -(-image_size[0] // patch), -(-image_size[1] // patch)
