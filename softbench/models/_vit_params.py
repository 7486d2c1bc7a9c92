"""What the plain transformer lets one choose, and which choices do not go together."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from softbench.case import Value
from softbench.models._fields import ImageSize, InChans, NumClasses


class Params(Value):
    """What a plain transformer lets one choose."""

    image_size: ImageSize = (224, 224)
    patch_size: int = Field(default=16, ge=1, le=2**10, description="pixels along a token's side")
    in_chans: InChans = 3
    vocabulary: Annotated[int, Field(ge=2, le=2**20)] | None = Field(
        default=None, description="tokens are numbers below it, not patches of an image"
    )
    seq_len: Annotated[int, Field(ge=1, le=2**24)] | None = Field(
        default=None, description="tokens of a sequence; with a vocabulary only"
    )
    depth: int = Field(default=12, ge=1, le=2**10, description="blocks")
    dim: int = Field(default=384, ge=1, le=2**16, description="channels")
    num_heads: int = Field(default=6, ge=1, le=2**10, description="heads; they divide the channels")
    mlp_ratio: float = Field(default=4.0, ge=0.25, le=16, description="an MLP's width over dim")
    equal_parameters: bool = Field(
        default=False,
        description="MLPs as wide as makes the model as large as with softmax and mlp_ratio",
    )
    num_classes: NumClasses = 1000
    pool: Literal["mean", "last"] = Field(
        default="mean", description="what goes to the head: the mean of all tokens, or the last"
    )
    pos_std: float = Field(
        default=0.02, ge=0, le=10, description="spread of the position embeddings at first"
    )

    @model_validator(mode="after")
    def _fits(self) -> Params:
        if (self.vocabulary is None) != (self.seq_len is None):
            raise ValueError(
                f"vocabulary is {self.vocabulary} and seq_len {self.seq_len}; "
                "a sequence has both, an image neither"
            )
        if self.dim % self.num_heads:
            raise ValueError(
                f"{self.num_heads} heads do not divide dim {self.dim}; "
                f"take {_nearest_divisor(self.num_heads, self.dim)} heads"
            )
        if self.vocabulary is None and any(side % self.patch_size for side in self.image_size):
            rows, columns = (
                max(1, round(side / self.patch_size)) * self.patch_size for side in self.image_size
            )
            raise ValueError(
                f"patches of {self.patch_size} do not tile an image of "
                f"{self.image_size[0]}x{self.image_size[1]}; take {rows}x{columns}"
            )
        return self


def _nearest_divisor(wanted: int, of: int) -> int:
    divisors = [number for number in range(1, min(of, 2**10) + 1) if of % number == 0]
    return min(divisors, key=lambda number: (abs(number - wanted), number))
