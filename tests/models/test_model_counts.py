"""Parameters and multiply-adds of the family, by every rule, against the released code's.

The closed forms have two sources beside them: the goldens' counts of the released code, and fvcore
on the model here, operator by operator.
"""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch

import softbench.models
from softbench.models import pyramid

# The released code's name for a size, in the goldens; published figures (G), and ours as SOFT.md
# has them, from Lu et al., arXiv 2110.11945, Table 1.
RELEASED = {
    "tiny": ("soft_tiny", 13_069_056, 1.9),
    "small": ("small_depths_1_3_7_4", 24_110_092, 3.3),
    "small_d20": ("soft_small", 38_858_462, None),
    "medium": ("soft_medium", 45_812_707, 7.2),
    "large": ("soft_large", 64_700_646, 11.0),
    "huge": ("soft_huge", 87_108_273, None),
}
# (macs, macs_with_newton), G.
OURS = {
    "tiny": (1.969, 2.157),
    "small": (3.41, 3.81),
    "small_d20": (6.50, 7.51),
    "medium": (7.53, 8.82),
    "large": (11.43, 13.37),
    "huge": (16.28, 18.92),
}


@pytest.mark.parametrize("attention", ["soft", "soft_norm"])
@pytest.mark.parametrize("size", RELEASED)
def test_every_size_has_the_released_parameters(
    size: str, attention: str, golden_meta: Any
) -> None:
    name, number, _ = RELEASED[size]
    with torch.device("meta"):
        model = timm.create_model(f"{attention}_{size}")
    assert sum(parameter.numel() for parameter in model.parameters()) == number
    assert golden_meta("models")["params_macs"][name]["params"] == number


@pytest.mark.parametrize("size", RELEASED)
def test_every_rule_gives_its_figure(size: Any, golden_meta: Any) -> None:
    name, _, published = RELEASED[size]
    released = golden_meta("models")["params_macs"][name]
    counts = softbench.models.multiply_adds(pyramid.Params(size=size))
    assert counts["macs_published_rule"] == released["macs_published_rule"]
    assert counts["macs_fvcore"] == released["fvcore_total"]
    assert counts["macs_fvcore_with_newton"] == released["fvcore_total_nr_inlined"]
    if published is not None:
        assert counts["macs_published_rule"] / 1e9 == pytest.approx(published, abs=0.05)
    for rule, figure in zip(("macs", "macs_with_newton"), OURS[size], strict=True):
        assert counts[rule] / 1e9 == pytest.approx(figure, abs=0.006)


@pytest.mark.parametrize("size", ["tiny", "medium", "large", "huge"])
def test_of_soft_norm_fvcore_sees_the_solver(size: Any, golden_meta: Any) -> None:
    released = golden_meta("models")["params_macs"][f"soft_norm_{size}"]
    counts = softbench.models.multiply_adds(pyramid.Params(size=size), "soft_norm")
    assert counts["macs_fvcore"] == released["fvcore_total"]
    assert counts["macs_published_rule"] == released["macs_published_rule"]


def test_other_mechanisms_have_no_such_rules() -> None:
    with pytest.raises(ValueError, match="not 'softmax'"):
        softbench.models.multiply_adds(pyramid.Params(), "softmax")


def test_fvcore_counts_on_our_model_what_it_counts_on_the_released_one(golden_meta: Any) -> None:
    """By operator, but for resizing: ours leaves embeddings alone where the size stays."""
    from fvcore.nn import FlopCountAnalysis

    model = timm.create_model("soft_tiny").eval()
    count = FlopCountAnalysis(model, torch.randn(1, 3, 224, 224))
    count.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    released = dict(golden_meta("models")["params_macs"]["soft_tiny"]["fvcore_by_op"])
    released.pop("upsample_bilinear2d")
    assert dict(count.by_operator()) == released
