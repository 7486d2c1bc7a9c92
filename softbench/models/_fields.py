"""Parameters that several backbones have, each with its bounds and its description."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer

Side = Annotated[int, Field(ge=1, le=2**14)]


def _sides(given: Any) -> Any:
    """A side stands for a square; "rows x columns" is written as a token grid is."""
    if isinstance(given, str):
        rows, _, columns = given.partition("x")
        if not (rows.isdecimal() and columns.isdecimal()):
            raise ValueError(f"image_size {given!r} is neither a side nor two, such as 224x448")
        return int(rows), int(columns)
    return (given, given) if type(given) is int else given


def _written(sides: tuple[int, int]) -> int | str:
    return sides[0] if sides[0] == sides[1] else f"{sides[0]}x{sides[1]}"


ImageSize = Annotated[
    tuple[Side, Side],
    BeforeValidator(_sides),
    PlainSerializer(_written),
    Field(description="rows and columns of pixels: a side for a square, or 224x448"),
]
InChans = Annotated[int, Field(ge=1, le=2**12, description="channels of an image")]
NumClasses = Annotated[int, Field(ge=1, le=2**20, description="logits")]
