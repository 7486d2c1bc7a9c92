"""What comes out of a case: how many entries, and the cotangent that a backward starts from."""

from __future__ import annotations

import math

from torch import Tensor

from softbench.case import Case
from softbench.workload import model
from softbench.workload.inputs import draw


def draw_cotangent(case: Case) -> Tensor:
    """Of the output, N(0, 1)."""
    return model.draw_cotangent(case) if case.level == "model" else draw(case, "cotangent")


def output_numel(case: Case) -> int:
    """Entries of one output: as many as the heads hold, of a model those of the logits."""
    if case.level == "model":
        return math.prod(model.logits_shape(case))
    shape = case.shape
    return shape.batch_size * shape.num_heads * shape.seq_len * shape.head_dim
