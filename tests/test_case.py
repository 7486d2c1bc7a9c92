"""The values that flow: sizes refused, ids that hold still, seals that break.

Mutants seen red: a square length left without its grid, the product of the grid unchecked, a
strict model made lax, `seed` or `compile` left out of the id, the id taken over 12 digits, a seal
over everything but `values`, NaN let into the values, `block` made to tell seeds apart.
"""

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from softbench.case import Case, Record, Shape, content_hash

SIZES = st.integers(1, 2**20)
FINITE = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | FINITE | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def case(**changes: Any) -> Case:
    fields: dict[str, Any] = {
        "level": "operator",
        "attention": "soft",
        "params": {"num_landmarks": 49},
        "backend": "eager",
        "shape": Shape(seq_len=784),
        "inputs": "normal",
        "dtype": "float32",
        "device": "cpu",
        "mode": "forward",
        "compile": False,
        "seed": 0,
    }
    return Case(**{**fields, **changes})


def record(**changes: Any) -> Record:
    fields: dict[str, Any] = {
        "schema": 1,
        "case": case(),
        "metric": "latency",
        "unit": "s",
        "better": "lower",
        "repeat": 0,
        "values": [0.25, 3],
        "status": "ok",
        "reason": None,
        "detail": {"stopped_by": "width"},
        "environment": "e",
        "protocol": "p",
        "invocation": "i",
    }
    return Record(**{**fields, **changes})


VIT: dict[str, Any] = {"level": "model", "model": {"name": "vit", "depth": 12, "image_size": 448}}
# One other value for each field of a case; `model` goes with its level, `task` can only be None.
OTHER_CASE: dict[str, Any] = {
    "level": "layer",
    "attention": "softmax",
    "params": {"num_landmarks": 50},
    "backend": "sdpa",
    "shape": Shape(seq_len=784, batch_size=2),
    "inputs": "smooth",
    "dtype": "float16",
    "device": "cuda",
    "mode": "forward_backward",
    "compile": True,
    "seed": 1,
}


def test_a_square_length_has_its_own_grid() -> None:
    assert Shape(seq_len=784).grid == (28, 28)
    assert Shape(seq_len=785).grid is None


def test_a_written_grid_gives_the_length_and_is_written_back() -> None:
    shape = Shape.model_validate({"grid": "28x56"})
    assert (shape.seq_len, shape.grid) == (1568, (28, 56))
    assert shape.model_dump(mode="json")["grid"] == "28x56"


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ("28X56", "'28X56' is not two positive whole numbers such as 28x56"),
        ("28x", "is not two positive"),
        ("0x4", "is not two positive"),
        ("-7x-7", "is not two positive"),
        ("7x7x1", "is not two positive"),
        ((7, 8), "grid 7x8 holds 56 tokens, seq_len is 49"),
        ((-7, -7), "greater than or equal to 1"),
        (7, "grid"),
    ],
)
def test_a_grid_that_cannot_be_is_refused(grid: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Shape.model_validate({"seq_len": 49, "grid": grid})


@pytest.mark.parametrize("grid", [28, 28.5, ["a", "b"], (2, "b")])
def test_a_grid_of_another_kind_is_a_validation_error_without_a_length_too(grid: object) -> None:
    with pytest.raises(ValidationError, match="grid"):
        Shape.model_validate({"grid": grid})


@pytest.mark.parametrize("size", [0, -1, 2**40 + 1, 1.0, math.nan, True, "784", [196], None])
@pytest.mark.parametrize("field", ["batch_size", "num_heads", "seq_len", "head_dim"])
def test_a_size_is_a_positive_whole_number(field: str, size: object) -> None:
    with pytest.raises(ValidationError, match=field):
        Shape.model_validate({"seq_len": 16, field: size})


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(ValidationError, match="heads"):
        Shape.model_validate({"seq_len": 16, "heads": 2})


@settings(deadline=None)
@given(SIZES, SIZES, SIZES, st.integers(1, 2**12), st.integers(1, 2**12), st.booleans())
def test_a_shape_survives_json(b: int, h: int, d: int, rows: int, columns: int, flat: bool) -> None:
    grid = None if flat else (rows, columns)
    shape = Shape(batch_size=b, num_heads=h, head_dim=d, seq_len=rows * columns, grid=grid)
    assert Shape.model_validate_json(shape.model_dump_json()) == shape
    assert Shape.model_validate(shape.model_dump()) == shape


def test_the_id_of_a_case_holds_still() -> None:
    # A change here orphans every record that was ever written.
    assert case().id == "57bf4b0c769d4ca8"


def test_the_order_of_the_parameters_does_not_change_the_id() -> None:
    assert case(params={"a": 1, "b": 2}).id == case(params={"b": 2, "a": 1}).id


@pytest.mark.parametrize("field", sorted(Case.model_fields.keys() - {"model", "task"}))
def test_the_id_changes_with_every_field(field: str) -> None:
    assert case(**{field: OTHER_CASE[field]}).id != case().id


@pytest.mark.parametrize("field", sorted(Case.model_fields.keys() - {"model", "task"}))
def test_a_block_is_one_level_shape_dtype_device_and_mode(field: str) -> None:
    apart = field in {"level", "shape", "dtype", "device", "mode"}
    assert (case(**{field: OTHER_CASE[field]}).block != case().block) == apart


def test_cases_without_a_model_keep_the_ids_of_committed_records() -> None:
    one = case()
    assert one.model is None
    assert (one.id, one.block, one.family) == (
        "57bf4b0c769d4ca8", "51f0bbaee79f308d", "b7dda42e4510dd7d"
    )  # fmt: skip
    assert one.label == "soft/eager N=784 forward"


def test_a_model_is_part_of_the_id_the_block_and_the_label() -> None:
    one, deeper = (
        case(**VIT),
        case(**VIT).model_copy(update={"model": {**VIT["model"], "depth": 6}}),
    )
    assert len({case().id, one.id, deeper.id}) == 3
    assert len({case().block, one.block, deeper.block}) == 3
    assert one.family != deeper.family
    assert one.label == "vit soft/eager N=784 forward"


@pytest.mark.parametrize("length", ["image_size", "seq_len"])
def test_the_lengths_of_a_model_are_one_family(length: str) -> None:
    one, other = (case(**{**VIT, "model": {**VIT["model"], length: size}}) for size in (32, 64))
    assert one.id != other.id
    assert one.block != other.block
    assert one.family == other.family
    assert one.body == {k: v for k, v in VIT["model"].items() if k != "image_size"}


@pytest.mark.parametrize(
    "change", [{"level": "model"}, {"model": {"name": "vit"}}, {**VIT, "model": {"depth": 1}}]
)
def test_a_model_with_a_name_goes_with_level_model(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="a model, with a name, goes with level model"):
        case(**change)


@pytest.mark.parametrize("change", [{"seed": -1}, {"compile": 1}, {"dtype": "int8"}, {"x": 1}])
def test_a_case_refuses_what_it_does_not_know(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(change))):
        case(**change)


def test_a_sealed_record_carries_the_hash_of_its_content() -> None:
    sealed = record().sealed()
    assert sealed.id == sealed.content_id() != ""
    assert sealed.sealed() == sealed


OTHER_RECORD: dict[str, Any] = {
    "case": case(seed=1),
    "metric": "flops",
    "unit": "FLOP",
    "better": "higher",
    "repeat": 1,
    "values": [0.25, 4],
    "status": "timeout",
    "reason": "too slow",
    "detail": {"stopped_by": "budget"},
    "environment": "E",
    "protocol": "P",
    "invocation": "I",
}


@pytest.mark.parametrize("field", sorted(Record.model_fields.keys() - {"id", "version"}))
def test_the_seal_breaks_with_every_field(field: str) -> None:
    edited = record().sealed().model_copy(update={field: OTHER_RECORD[field]})
    assert edited.content_id() != edited.id


@settings(deadline=None)
@given(st.lists(FINITE, min_size=1, max_size=4), st.dictionaries(st.text(), JSON, max_size=3))
def test_a_line_read_back_is_the_same_sealed_record(
    values: list[int | float], detail: dict[str, Any]
) -> None:
    sealed = record(values=values, detail=detail).sealed()
    read = Record.model_validate_json(sealed.model_dump_json(by_alias=True))
    assert read == sealed
    assert read.content_id() == sealed.id
    assert [type(value) for value in read.values] == [type(value) for value in values]


@pytest.mark.parametrize("value", [math.nan, math.inf, True, "1", None])
def test_a_value_is_a_finite_number(value: object) -> None:
    with pytest.raises(ValidationError, match="values"):
        record(values=[value])


def test_the_schema_travels_under_its_name() -> None:
    line = json.loads(record().model_dump_json(by_alias=True))
    assert line["schema"] == 1
    with pytest.raises(ValidationError, match="schema"):
        record(schema=2)


@pytest.mark.parametrize("field", ["metric", "repeat", "protocol", "environment", "case"])
def test_the_resume_key_changes_with_what_makes_a_measurement(field: str) -> None:
    assert record(**{field: OTHER_RECORD[field]}).key != record().key


@pytest.mark.parametrize("field", ["values", "status", "detail", "invocation"])
def test_the_resume_key_is_the_same_whatever_came_out(field: str) -> None:
    assert record().model_copy(update={field: OTHER_RECORD[field]}).key == record().key


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"values": []}, "status ok needs a value"),
        ({"status": "timeout", "values": []}, "status timeout needs a reason"),
    ],
)
def test_a_record_says_a_value_or_why_there_is_none(wrong: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValidationError, match=rule):
        record(**wrong)


def test_a_remark_that_is_no_number_is_refused_not_nulled() -> None:
    with pytest.raises(ValueError, match="JSON"):
        record(detail={"width": math.nan}).sealed()


@pytest.mark.parametrize("content", [{"x": math.nan}, [math.inf]])
def test_only_json_has_a_content_hash(content: object) -> None:
    with pytest.raises(ValueError, match="JSON"):
        content_hash(content)
