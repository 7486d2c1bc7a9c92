"""Multiply-adds of the SOFT family by the counting rules that its figures follow.

What a paper calls FLOPs is multiply-adds by a rule, and rules differ by a third; so each has a name
of its own here. All are of one image forward, eager, in closed form.

- `macs`: every product and convolution but norms by products with ones and the solver's steps.
- `macs_with_newton`: those, and the solver's.
- `macs_published_rule`: convolutions, linear layers, the two products of N·M·D in each early block
  and those of softmax in the last stage. It gives every figure of the SOFT paper (arXiv 2110.11945,
  Table 1) but Huge's; that the authors counted so is an inference.
- `macs_fvcore`: what fvcore counts on the released code. It takes the product of ones with the
  landmarks' squares for one of a single head, normalised values for 5 (batch: 2) and resized ones,
  even where the size stays, for 4; of soft's solver, inside a function of its own, it sees nothing.
- `macs_fvcore_with_newton`: that, and the solver's steps. soft_norm's fvcore sees.
"""

from __future__ import annotations

import math

from softbench.models import pyramid
from softbench.models._sizes import HEAD_DIM, SIZES, STEM_WIDTH, Size, grid_at
from softbench.models._stages import params_at, shape_at


def multiply_adds(params: pyramid.Params, attention: str = "soft") -> dict[str, int]:
    """Every rule's count, by its name. ValueError: another mechanism than soft and soft_norm."""
    if attention not in ("soft", "soft_norm"):
        raise ValueError(f"these rules count soft and soft_norm, not {attention!r}")
    terms = pyramid.flops(
        params,
        batch_size=1,
        attention=attention,
        attention_params={},
        backend="eager",
        mode="forward",
    )
    macs = {name: count // 2 for name, count in terms.items()}
    solver = macs.pop("solver")
    norms = macs.pop("norms")
    all_products = sum(macs.values())
    by_fvcore = all_products + _norms_seen(norms, params, attention) + _beside_products(params)
    seen = solver if attention == "soft_norm" else 0
    return {
        "macs": all_products,
        "macs_with_newton": all_products + solver,
        "macs_published_rule": all_products - _left_out(macs, params, attention),
        "macs_fvcore": by_fvcore + seen,
        "macs_fvcore_with_newton": by_fvcore + solver,
    }


def _left_out(macs: dict[str, int], params: pyramid.Params, attention: str) -> int:
    """Distances and the product with the inverse, which the published rule does not have."""
    with_inverse = 0
    for number, heads, tokens, landmarks in _early(params, attention):
        with_inverse += number * heads * tokens * landmarks**2
    return macs["distances"] + with_inverse


def _norms_seen(norms: int, params: pyramid.Params, attention: str) -> int:
    """Of two products with ones a block, the second without its heads."""
    seen = norms // 2
    for number, _, tokens, landmarks in _early(params, attention):
        seen += number * (tokens + landmarks) * landmarks * HEAD_DIM
    return seen


def _beside_products(params: pyramid.Params) -> int:
    """Layer norms, batch norms and the resizing of position embeddings, by fvcore's rules."""
    size = SIZES[params.size]
    grids = [grid_at(stage, params.image_size) for stage in range(4)]
    tokens = [math.prod(grid) * dim for grid, dim in zip(grids, size.dims, strict=True)]
    stem = 2 * STEM_WIDTH * math.prod(side // 2 for side in params.image_size)
    return 5 * _layer_normed(size, tokens, params) + 2 * (stem + sum(tokens)) + 4 * sum(tokens)


def _layer_normed(size: Size, tokens: list[int], params: pyramid.Params) -> int:
    """Values: two norms a block and one of its landmarks; in the last stage a class token's too."""
    count = (2 * size.depths[3] + 1) * (tokens[3] + size.dims[3])
    for number, heads, _, landmarks in _early(params, "soft"):
        count += number * heads * landmarks * HEAD_DIM
    return count + sum(2 * size.depths[stage] * tokens[stage] for stage in pyramid.EARLY)


def _early(params: pyramid.Params, attention: str) -> list[tuple[int, int, int, int]]:
    """Of each early stage: blocks, heads, tokens, landmarks."""
    size, found = SIZES[params.size], []
    for stage in pyramid.EARLY:
        where = shape_at(stage, size, params.image_size, 1)
        landmarks = params_at(stage, where, attention, {}).num_landmarks
        found.append((size.depths[stage], where.num_heads, where.seq_len, landmarks))
    return found
