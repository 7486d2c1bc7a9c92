"""Gradients through the maxima of FAVOR+'s features, shared evenly by all that are the largest.

A query's maximum lies in its own block. That of all keys is met again where u comes within rounding
of it: products of the backward may differ from the forward's in their last bit.
"""

from __future__ import annotations

import torch
from torch import Tensor


def of_tokens(u_GTR: Tensor) -> Tensor:
    """[G, T, R]: of each token's maxima its share, 0 elsewhere."""
    peaks_GTR = (u_GTR == u_GTR.amax(-1, keepdim=True)).to(u_GTR.dtype)
    return peaks_GTR.div_(peaks_GTR.sum(-1, keepdim=True))


def take_off(du_GTR: Tensor, peaks_GTR: Tensor, row_sums_GT1: Tensor) -> None:
    """In place: a maximum is taken off every feature of its token."""
    du_GTR.addcmul_(peaks_GTR, row_sums_GT1, value=-1)


class Peaks:
    """Where the keys of each head reach their maximum."""

    def __init__(self, largest_G11: Tensor) -> None:
        """Nothing found yet."""
        rounding = 8 * torch.finfo(largest_G11.dtype).eps
        self._least = largest_G11 - rounding * largest_G11.abs()
        self._found: list[Tensor] = []

    def find(self, u_GTR: Tensor, first: int) -> None:
        """Remember head, token and feature of the maxima in a block that begins at `first`."""
        found = (u_GTR >= self._least).nonzero()
        found[:, 1] += first
        self._found.append(found)

    def take_off(self, dk_GND: Tensor, total_G11: Tensor, w_RD: Tensor) -> None:
        """In place: the maximum is taken off all features of its head, whose gradients sum so."""
        heads, tokens, features = torch.cat(self._found).unbind(1)
        share = total_G11.flatten() / heads.bincount(minlength=len(dk_GND))
        change = -share[heads, None] * w_RD[features]
        dk_GND.index_put_((heads, tokens), change, accumulate=True)
