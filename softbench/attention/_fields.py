"""Parameters that several mechanisms have, each with its bounds and its description."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from softbench import plugins


def added(*, default: str, description: str) -> Any:
    """A choice that came when cases without it were recorded already.

    A case leaves it out where it is the default, so that those keep their ids and their baselines.
    """
    return Field(default, description=description, exclude_if=lambda value: value == default)


def _known_inverse(name: str) -> str:
    known = plugins.names("inverse")
    if name not in known:
        raise ValueError(f"no inverse {name!r}; {plugins.did_you_mean(name, known)}")
    return name


def _odd_or_zero(size: int) -> int:
    if size and size % 2 == 0:
        raise ValueError(f"{size} is even; take {size - 1} or {size + 1}, or 0 for none")
    return size


NumLandmarks = Annotated[int, Field(ge=1, le=2**16, description="landmarks M, the rank")]
Landmarks = Annotated[
    Literal["pool", "conv", "random", "first"],
    Field(description="how landmarks are made of the queries"),
]
Inverse = Annotated[
    str, AfterValidator(_known_inverse), Field(description="solver for the landmark kernel")
]
NumIters = Annotated[int, Field(ge=1, le=1000, description="steps of the solver")]
Gradient = Annotated[
    Literal["implicit", "unrolled"],
    Field(description="of the solver: from its result alone, or through every step"),
]
Ridge = Annotated[
    float, Field(ge=0, le=1, allow_inf_nan=False, description="added to the diagonal of A")
]
ConvKernelSize = Annotated[
    int,
    AfterValidator(_odd_or_zero),
    Field(ge=0, le=255, description="side of the value convolution, odd; 0 for none"),
]
