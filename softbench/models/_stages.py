"""Which attention each of the first three stages has: the mechanism's parameters by stage.

Lu et al., NeurIPS 2021, Table 2: the backbone stays, its attention is swapped. What stands for the
tokens is as many as SOFT has landmarks: one for r × r of them.

- soft, soft_norm: convolutional landmarks of stride r, as the released code has (the paper writes
  pooling), and the value convolution of the stage. soft_norm has `scope: batch`, as its released
  weights were trained: the output of one image then depends on its batch mates.
- linformer: keys and values compressed by a convolution with kernel = stride = r.
- nystromformer: landmarks pooled in two dimensions; its own value convolution of 33 taps.
- Every other mechanism has its defaults at layer level.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from softbench import plugins
from softbench.case import Shape
from softbench.models._sizes import HEAD_DIM, REDUCTIONS, VALUE_TAPS, Size, grid_at


def shape_at(stage: int, size: Size, image_size: tuple[int, int], batch_size: int) -> Shape:
    """The attention's Shape in a stage, 0 to 2; stage 3 has a class token besides, and no grid."""
    num_heads = size.dims[stage] // HEAD_DIM
    grid = grid_at(stage, image_size)
    if stage == 3:
        return gridless(
            Shape(
                batch_size=batch_size,
                num_heads=num_heads,
                seq_len=grid[0] * grid[1] + 1,
                head_dim=HEAD_DIM,
            )
        )
    return Shape(batch_size=batch_size, num_heads=num_heads, grid=grid, head_dim=HEAD_DIM)  # type: ignore[call-arg]


def gridless(shape: Shape) -> Shape:
    """The same tokens in a row. A Shape gives a square number of tokens a grid, asked or not."""
    return shape.model_copy(update={"grid": None})


def params_at(stage: int, shape: Shape, mechanism: str, given: Mapping[str, Any]) -> Any:
    """The mechanism's Params in a stage: what is `given`, else what this backbone has there.

    Raises pydantic's ValidationError for what the mechanism does not take.
    """
    module = plugins.load("attention", mechanism)
    at_layer = getattr(module, "LEVEL_DEFAULTS", {}).get("layer", {})
    return module.Params(**{**at_layer, **_of_stage(stage, shape, mechanism), **given})


def _of_stage(stage: int, shape: Shape, mechanism: str) -> dict[str, Any]:
    assert shape.grid is not None  # stages 0 to 2 have one
    rows, columns = (max(1, side // REDUCTIONS[stage]) for side in shape.grid)
    of_soft = {
        "landmarks": "conv",
        "num_landmarks": rows * columns,
        "conv_kernel_size": VALUE_TAPS[stage],
    }
    of_mechanism: dict[str, dict[str, Any]] = {
        "soft": of_soft,
        "soft_norm": {**of_soft, "scope": "batch"},
        "linformer": {"compression": "conv", "projection_length": rows * columns},
        "nystromformer": {"landmarks": "pool", "num_landmarks": rows * columns},
    }
    return of_mechanism.get(mechanism, {})


def final_backend(mechanism: str, backend: str) -> str:
    """The backend of the last stage's softmax: plain beside plain, else fused."""
    return backend if backend == "eager" or mechanism == "softmax" else "sdpa"
