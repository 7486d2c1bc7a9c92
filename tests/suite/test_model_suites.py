"""Suites of level model: a model's sizes are axes, the shape is what the model says.

Mutants seen red: the model's defaults left out of the case, a mechanism's defaults put into it, the
batch not handed to the model's shape, `zip` deaf to the model, predicted lengths that no case has
let through, sizes of the shape beside a model let through, smooth inputs of a model let through.
"""

from __future__ import annotations

from typing import Any

import pytest

from softbench.case import Case
from softbench.suite import Suite, SuiteError, expand, parse

pytestmark = pytest.mark.usefixtures("small_vit")

DEFAULTS = {
    "name": "small_vit", "image_size": 32, "patch_size": 4, "depth": 2, "dim": 16, "num_heads": 2,
    "num_classes": 10,
}  # fmt: skip


def suite(**changes: Any) -> Suite:
    plain = {
        "level": "model",
        "model": {"name": "small_vit"},
        "attention": {"softmax": {}},
        "metrics": ["flops"],
    }
    return parse({**plain, **changes}, "given", "given.yaml")


def cases(**changes: Any) -> list[Case]:
    return expand(suite(**changes), "cpu")


def refusal(**changes: Any) -> str:
    with pytest.raises(SuiteError) as refused:
        cases(**changes)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_a_case_holds_the_whole_model_and_the_shape_it_gives() -> None:
    [case] = cases(shape={"batch_size": 3})
    assert case.model == DEFAULTS
    sizes = case.shape.model_dump(mode="json")
    assert sizes == {
        "batch_size": 3, "num_heads": 2, "seq_len": 64, "head_dim": 8, "grid": "8x8"
    }  # fmt: skip
    assert case.label == "small_vit softmax/eager N=64 forward"
    assert Case.model_validate_json(case.model_dump_json()) == case


def test_a_list_in_a_model_is_an_axis() -> None:
    model = {"name": "small_vit", "image_size": [64, 32], "depth": [1, 2], "dim": 32}
    found = cases(model=model, shape={"batch_size": [1, 2]})
    told = {(c.shape.seq_len, (c.model or {})["depth"], c.shape.batch_size) for c in found}
    assert told == {(n, depth, b) for n in (64, 256) for depth in (1, 2) for b in (1, 2)}
    assert len(found) == 8
    assert [case.shape.seq_len for case in found] == sorted(case.shape.seq_len for case in found)
    assert {case.shape.head_dim for case in found} == {16}


def test_a_mechanism_has_what_it_was_given_and_the_model_the_rest() -> None:
    found = cases(attention={"soft": [{}, {"num_landmarks": [4, 16]}]})
    assert [case.params for case in sorted(found, key=lambda c: str(c.params))] == [
        {"num_landmarks": 16},
        {"num_landmarks": 4},
        {},
    ]


def test_zip_varies_the_size_and_the_batch_together() -> None:
    rows = [{"model.image_size": 32, "shape.batch_size": 4}, {"model.image_size": 64}]
    rows[1]["shape.batch_size"] = 1
    found = cases(zip=rows, model={"name": "small_vit", "depth": 1})
    assert [(case.shape.seq_len, case.shape.batch_size) for case in found] == [(64, 4), (256, 1)]


def test_at_some_of_a_models_lengths_nothing_runs() -> None:
    told = suite(model={"name": "small_vit", "image_size": [32, 64]}, predict_seq_len=256)
    assert [told.runs(case) for case in expand(told, "cpu")] == [True, False]


@pytest.mark.parametrize(
    ("changes", "fragments"),
    [
        ({"model": {"name": "smal_vit"}}, ["no models 'smal_vit'", "did you mean 'small_vit'?"]),
        ({"model": {"name": "small_vit", "dept": 2}}, ["has no 'dept'", "did you mean 'depth'?"]),
        ({"model": {"name": "small_vit", "depth": 0}}, ["small_vit: depth: 0", "greater than"]),
        ({"model": {"name": "small_vit", "depth": [1, 2.5]}}, ["depth: 2.5", "integer"]),
        ({"model": {"name": "small_vit", "depth": []}}, ["needs at least one value"]),
        ({"model": {"depth": 2}}, ["model: it is a mapping with one name"]),
        ({"model": {"name": ["small_vit"]}}, ["model: it is a mapping with one name"]),
        ({"model": "small_vit"}, ["model: it is a mapping with one name", "'small_vit'"]),
        ({"model": None}, ["level model needs the key model"]),
        ({"level": "layer"}, ["goes with level model, not with level layer"]),
        ({"shape": {"seq_len": 64}}, ["shape.seq_len: at level model the model says it"]),
        ({"shape": {"num_heads": 2}}, ["shape.num_heads: at level model the model says it"]),
        ({"shape": {"head_dim": 2}}, ["shape.head_dim: at level model the model says it"]),
        ({"shape": {"grid": "8x8"}}, ["shape.grid: at level model the model says it"]),
        ({"zip": [{"shape.seq_len": 4}]}, ["zip: shape.seq_len: at level model"]),
        ({"zip": [{"model.name": "x"}]}, ["model.name is set twice"]),
        ({"zip": [{"model.dept": 2}]}, ["has no 'dept'", "did you mean 'depth'?"]),
        ({"inputs": ["normal", "smooth"]}, ["inputs: a model draws its own"]),
        ({"predict_seq_len": 65}, ["no case has 65 tokens, but 64"]),
        ({"predict_seq_len": 64, "metrics": ["latency"]}, ["only counts"]),
        ({"attention": {"soft": {"num_landmark": 4}}}, ["'num_landmark'", "'num_landmarks'?"]),
    ],
)
def test_what_a_model_has_not_is_refused(changes: dict[str, Any], fragments: list[str]) -> None:
    said = refusal(**changes)
    assert [fragment for fragment in fragments if fragment not in said] == [], said


def test_a_model_cannot_be_zipped_where_there_is_none() -> None:
    operator = {"level": "operator", "shape": {"seq_len": 16}, "model": None}
    assert "zip cannot vary 'model.depth'" in refusal(**operator, zip=[{"model.depth": 2}])
