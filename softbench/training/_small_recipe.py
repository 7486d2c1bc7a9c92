"""How a model is trained on a small task, as data."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from softbench.case import Value

Fraction = Annotated[float, Field(ge=0, le=0.5, allow_inf_nan=False)]


class SmallRecipe(Value):
    """How a model is trained on a small task."""

    epochs: Annotated[int, Field(ge=1, le=10**5, description="passes over the train set")] = 2
    batch_size: Annotated[int, Field(ge=1, le=2**20, description="samples of a step")] = 128
    learning_rate: Annotated[
        float, Field(gt=0, le=10, allow_inf_nan=False, description="AdamW's, at its highest")
    ] = 1e-3
    weight_decay: Annotated[
        float, Field(ge=0, le=10, allow_inf_nan=False, description="AdamW's, of matrices alone")
    ] = 0.05
    warmup: Annotated[
        Fraction, Field(description="share of all steps in which the learning rate rises")
    ] = 0.1
    label_smoothing: Annotated[
        Fraction, Field(description="share of a label that is spread over all classes")
    ] = 0.0
    clip_norm: Annotated[
        float, Field(ge=0, le=10**6, description="longest gradient of a step; 0 for no limit")
    ] = 1.0
    shift: Annotated[
        int, Field(ge=0, le=64, description="pixels an image is moved by at most, each way")
    ] = 0
    flip: Annotated[bool, Field(description="mirror half of the images, left to right")] = False
