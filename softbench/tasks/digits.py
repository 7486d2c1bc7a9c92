"""Digits: 1,797 hand-written digits of 8×8 pixels that come with scikit-learn, for quick trials.

Licence: CC BY 4.0 (data, UCI Machine Learning Repository), BSD-3-Clause (scikit-learn's copy).
Source: Alpaydin & Kaynak, "Optical Recognition of Handwritten Digits", UCI, 1998 (its test set).
Sizes: 1,438 to train and 359 to test at `test_share` 0.2; 1 channel, 17 grey levels, 10 classes.
Token grid: 8x8 at patch 1, 4x4 at patch 2, 2x2 at patch 4.

The set has no test set of its own here. The split is one for all seeds, so that they are compared
on the same test images: from each class the same share, drawn by `split`. Levels stay 0 to 16.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from softbench.case import Value
from softbench.tasks._draws import array_stream
from softbench.tasks._task import Split, Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Params(Value):
    """What digits let one choose."""

    test_share: Annotated[
        float, Field(ge=0.05, le=0.95, description="share of each class that is kept for the test")
    ] = 0.2
    split: Annotated[int, Field(ge=0, lt=2**63, description="which drawing of the test set")] = 0


def model_params(params: Params) -> dict[str, Any]:
    """The parameters of a model that follow from the task."""
    return {"num_classes": 10, "image_size": (8, 8), "in_chans": 1}


def load(params: Params, *, seed: int, data_root: Path | None = None) -> Task:
    """The digits, split as `params` say; `seed` and `data_root` change nothing."""
    import numpy as np
    import torch
    from sklearn.datasets import load_digits

    found = load_digits()
    inputs = torch.from_numpy(found.images.astype(np.uint8))[:, None]
    labels = torch.from_numpy(found.target.astype(np.int64))
    chosen = torch.from_numpy(_chosen(found.target, params))
    return Task(
        name="digits",
        train=Split(inputs[~chosen], labels[~chosen]),
        test=Split(inputs[chosen], labels[chosen]),
        num_classes=10,
        licence="CC BY 4.0",
        source="UCI Optical Recognition of Handwritten Digits, scikit-learn's copy",
    )


def _chosen(labels: NDArray[Any], params: Params) -> NDArray[np.bool_]:
    """Bool [n]: the same share of every class, rounded to whole samples, drawn by `split`."""
    import numpy as np

    order = array_stream("digits", params.split).permutation(len(labels))
    chosen = np.zeros(len(labels), dtype=np.bool_)
    for label in np.unique(labels):
        of_class = order[labels[order] == label]
        chosen[of_class[: round(params.test_share * len(of_class))]] = True
    return chosen
