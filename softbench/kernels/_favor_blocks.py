"""How FAVOR+ is cut into blocks of tokens, and the features of one block (see `favor.py`).

φ = e + ε with `e = exp(u - ½‖x‖² - max u)` or `relu(u)`, `u = x Wᵀ`, x divided by D^(1/4). That
division goes into W, and the factor R^(-½) cancels in the quotient. Values carry a one in a last
column, so that numerator and denominator are one product; C = D + 1 columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

BLOCK_BYTES = 2**20  # of features, for each thread: half of a usual cache of the second level


class Kind(NamedTuple):
    """Which features: relu or softmax, their ε, and whether maxima are constants to gradients."""

    relu: bool
    epsilon: float
    detach_max: bool

    @property
    def through_maxima(self) -> bool:
        """Whether gradients go through maxima."""
        return not (self.relu or self.detach_max)


class Blocks:
    """The blocks of one call, and the memory that each of them uses anew."""

    def __init__(self, q: Tensor, w: Tensor, number: int) -> None:
        """Room for `number` blocks of features, and for as many of columns."""
        self._heads, self._tokens = block_sizes(q, w)
        self.w_RD = w * w.shape[1] ** -0.25
        pairs = self._heads * self._tokens
        self._features = [q.new_empty(pairs * w.shape[0]) for _ in range(number)]
        self._columns = [q.new_empty(pairs * (w.shape[1] + 1)) for _ in range(number)]

    def heads(self, q: Tensor) -> Iterator[tuple[int, slice]]:
        """Every image with every run of heads that a block holds."""
        for image in range(q.shape[0]):
            for first in range(0, q.shape[1], self._heads):
                yield image, slice(first, first + self._heads)

    def tokens(self, x_GND: Tensor) -> Iterator[slice]:
        """Every run of tokens that a block holds."""
        for first in range(0, x_GND.shape[1], self._tokens):
            yield slice(first, first + self._tokens)

    def raw(self, x_GTD: Tensor) -> Tensor:
        """[G, T, R]: u."""
        filters_GDR = self.w_RD.mT.expand(len(x_GTD), *self.w_RD.mT.shape)
        return torch.bmm(x_GTD, filters_GDR, out=self.features(x_GTD))

    def features(self, x_GTD: Tensor, which: int = 0) -> Tensor:
        """Room for [G, T, R]."""
        return _cut(self._features[which], x_GTD, self.w_RD.shape[0])

    def columns(self, x_GTD: Tensor, which: int = 0) -> Tensor:
        """Room for [G, T, C]."""
        return _cut(self._columns[which], x_GTD, self.w_RD.shape[1] + 1)

    def with_ones(self, v_GTD: Tensor, which: int = 0) -> Tensor:
        """[G, T, C]: values and a last column of ones."""
        v_GTC = self.columns(v_GTD, which)
        v_GTC[..., :-1] = v_GTD
        v_GTC[..., -1] = 1
        return v_GTC


def block_sizes(q_BHND: Tensor, w_RD: Tensor) -> tuple[int, int]:
    """How many heads and how many tokens a block has: all tokens first, then heads."""
    features = BLOCK_BYTES * torch.get_num_threads() // (q_BHND.element_size() * w_RD.shape[0])
    tokens = max(1, min(q_BHND.shape[2], max(16, features)))
    return max(1, min(q_BHND.shape[1], features // tokens)), tokens


def half_norms(x_GTD: Tensor) -> Tensor:
    """[G, T, 1]: ½‖x‖² of tokens divided by D^(1/4)."""
    norms_GT1: Tensor = torch.linalg.vector_norm(x_GTD, dim=-1, keepdim=True)
    return norms_GT1.square_().mul_(0.5 * x_GTD.shape[-1] ** -0.5)


def sum_with_count(v_GND: Tensor) -> Tensor:
    """[G, 1, C]: the sum of all values, and in the last column how many they are."""
    last_G11 = v_GND.new_full((len(v_GND), 1, 1), v_GND.shape[1])
    return torch.cat((v_GND.sum(1, keepdim=True), last_G11), dim=-1)


def _cut(room: Tensor, x_GTD: Tensor, last: int) -> Tensor:
    sizes = (*x_GTD.shape[:2], last)
    return room[: sizes[0] * sizes[1] * last].view(sizes)
