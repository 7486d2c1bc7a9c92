"""From axes to cases: a list is an axis, a scalar is fixed, parameters are their mechanism's.

Mutants seen red: variants multiplied with one another, level defaults ignored, `auto` taken as
float32 on CUDA, cases in the order of the file, doubles kept, `zip` taken as a product, "*" taking
in the mechanisms named beside it, lengths that are predicted left out or run.
"""

import itertools
import math
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from softbench import plugins
from softbench.case import Case
from softbench.cli.choosing import narrowed
from softbench.suite import SuiteError, expand, find, packaged, parse, read


def suite(**changes: Any) -> dict[str, Any]:
    """A suite of one case, as read from a file, with keys changed."""
    plain = {
        "shape": {"num_heads": 1, "head_dim": 8, "seq_len": 16},
        "attention": {"softmax": {}},
        "metrics": ["flops"],
    }
    return {**plain, **changes}


def cases(**changes: Any) -> list[Case]:
    return expand(parse(suite(**changes), "given", "given.yaml"), "cpu")


def lengths(found: list[Case]) -> list[int]:
    return [case.shape.seq_len for case in found]


def test_a_scalar_is_fixed_and_a_list_is_an_axis() -> None:
    found = cases(shape={"seq_len": [16, 25], "num_heads": 2}, mode=["forward", "forward_backward"])
    assert {(case.shape.seq_len, case.mode) for case in found} == {
        (16, "forward"),
        (16, "forward_backward"),
        (25, "forward"),
        (25, "forward_backward"),
    }
    assert {case.shape.num_heads for case in found} == {2}


def test_lengths_that_are_predicted_are_cases_at_which_nothing_runs() -> None:
    told = parse(suite(predict_seq_len=[64, 25], metrics=["latency", "flops"]), "given", "here")
    found = expand(told, "cpu")
    assert lengths(found) == [16, 25, 64]
    assert [told.runs(case) for case in found] == [True, False, False]
    measured = expand(parse(suite(shape={**suite()["shape"], "seq_len": 64}), "given", "h"), "cpu")
    assert found[2].id == measured[0].id  # the same case as if it were measured


def test_lengths_that_are_predicted_meet_every_other_axis() -> None:
    found = cases(
        predict_seq_len={"pow2": [5, 6]},
        mode=["forward", "forward_backward"],
        attention={"softmax": {"backend": ["eager", "sdpa"]}, "*": {}},
    )
    each = [sum(case.shape.seq_len == length for case in found) for length in (16, 32, 64)]
    assert each[0] == each[1] == each[2] > 4
    assert lengths(cases(predict_seq_len=[])) == [16]


def test_parameters_are_swept_under_their_mechanism_alone() -> None:
    found = cases(attention={"softmax": {}, "soft": {"num_landmarks": [4, 9, 16]}})
    assert sorted(case.attention for case in found) == ["soft", "soft", "soft", "softmax"]
    assert sorted(c.params["num_landmarks"] for c in found if c.attention == "soft") == [4, 9, 16]


def test_variants_stand_beside_one_another_and_are_no_product() -> None:
    variants = [
        {"num_landmarks": 4, "num_newton_iters": [1, 2]},
        {"num_landmarks": 9},
        None,
    ]
    found = cases(attention={"soft": variants})
    given = {(case.params["num_landmarks"], case.params["num_newton_iters"]) for case in found}
    assert given == {(4, 1), (4, 2), (9, 20), (49, 20)}
    assert len(found) == 4


def test_the_backend_is_an_axis_too_and_no_parameter() -> None:
    found = cases(attention={"softmax": {"backend": ["eager", "sdpa"]}})
    assert [case.backend for case in found] == ["eager", "sdpa"]
    assert all(case.params == {} for case in found)


def test_powers_of_two_are_a_range() -> None:
    assert lengths(cases(shape={"seq_len": {"pow2": [4, 7]}})) == [16, 32, 64, 128]


def test_a_value_that_stands_twice_is_measured_once() -> None:
    assert len(cases(seed=[0, 0, 1], attention={"softmax": [{}, {}]})) == 2


def test_zip_varies_its_keys_together() -> None:
    rows = [
        {"shape.seq_len": 64, "shape.batch_size": 1},
        {"shape.seq_len": 16, "shape.batch_size": 4},
    ]
    found = cases(shape={"num_heads": 1}, zip=rows, seed=[0, 1])
    sizes = [(case.shape.seq_len, case.shape.batch_size, case.seed) for case in found]
    assert sorted(sizes) == [(16, 4, 0), (16, 4, 1), (64, 1, 0), (64, 1, 1)]


def test_a_star_is_every_other_mechanism() -> None:
    found = cases(attention={"softmax": {"backend": "sdpa"}, "*": {}})
    assert sorted({case.attention for case in found}) == plugins.names("attention")
    assert [case.backend for case in found if case.attention == "softmax"] == ["sdpa"]


def test_a_star_alone_is_every_mechanism() -> None:
    found = cases(attention={"*": None})
    assert sorted(case.attention for case in found) == plugins.names("attention")


@pytest.mark.parametrize(("only", "backends"), [("softmax", ["sdpa"]), ("soft", ["eager"])])
def test_only_keeps_a_mechanism_named_or_covered_by_the_star(
    only: str, backends: list[str]
) -> None:
    whole = parse(suite(attention={"softmax": {"backend": "sdpa"}, "*": {}}), "given", "here")
    kept = expand(narrowed(whole, [only]), "cpu")
    assert [(case.attention, case.backend) for case in kept] == [(only, backends[0])]


def test_only_refuses_what_the_suite_has_not() -> None:
    with pytest.raises(
        SuiteError, match=r"--only soft: not in suite given; did you mean 'softmax'"
    ):
        narrowed(parse(suite(), "given", "here"), ["soft"])


def test_a_grid_gives_the_tokens_and_keeps_its_sides() -> None:
    [case] = cases(shape={"grid": "28x56"})
    assert (case.shape.seq_len, case.shape.grid) == (28 * 56, (28, 56))
    [case] = cases(shape={"seq_len": 49})
    assert case.shape.grid == (7, 7)


@pytest.mark.parametrize(("level", "landmarks"), [("operator", "pool"), ("layer", "conv")])
def test_a_level_has_its_own_defaults(level: str, landmarks: str) -> None:
    [case] = cases(level=level, attention={"soft": {}})
    assert case.params["landmarks"] == landmarks
    [case] = cases(level=level, attention={"soft": {"landmarks": "first"}})
    assert case.params["landmarks"] == "first"


@pytest.mark.parametrize(
    ("device", "dtypes"),
    [("cpu", ["float32"]), ("cuda", ["float32", "bfloat16"]), ("meta", ["float32"])],
)
def test_auto_is_what_models_run_in_on_the_device(device: str, dtypes: list[str]) -> None:
    whole = suite(dtype="auto", device="meta" if device == "meta" else "auto")
    found = expand(parse(whole, "given", "here"), device)
    assert sorted(case.dtype for case in found) == sorted(dtypes)
    assert {case.device for case in found} == {device}


def test_a_numbered_device_has_the_dtypes_of_its_kind() -> None:
    whole = suite(device="cuda:1")
    assert len(expand(parse(whole, "given", "here"), "cpu")) == 2


def test_cases_come_by_their_tokens_and_blocks_stay_together() -> None:
    found = cases(
        shape={"seq_len": [64, 16, 25]},
        mode=["forward_backward", "forward"],
        attention={"softmax": {"backend": ["eager", "sdpa"]}},
    )
    assert lengths(found) == sorted(lengths(found))
    blocks = [case.block for case in found]
    changes = sum(before != after for before, after in itertools.pairwise(blocks))
    assert changes == len(set(blocks)) - 1


def test_a_change_on_the_command_line_is_as_if_it_stood_in_the_file() -> None:
    path = find("smoke")
    changed = read(path, ["shape.seq_len=[16, 36]", "attention={softmax: {}}", "mode=forward"])
    assert lengths(expand(parse(changed, "smoke", str(path)), "cpu")) == [16, 36]
    assert read(path, ["budget.case_seconds=7"])["budget"]["case_seconds"] == 7


@pytest.mark.parametrize("name", sorted(packaged()))
def test_every_packaged_suite_is_found_and_expands(name: str) -> None:
    path = find(name)
    found = expand(parse(read(path), path.stem, str(path)), "cpu")
    assert found
    assert len({case.id for case in found}) == len(found)


def some(values: list[Any]) -> st.SearchStrategy[list[Any]]:
    """A few of them, in any order, some of them twice."""
    return st.lists(st.sampled_from(values), min_size=1, max_size=3)


AXES = st.fixed_dictionaries(
    {
        "seq_len": some([16, 25, 36, 49]),
        "num_heads": some([1, 2, 3]),
        "mode": some(["forward", "forward_backward"]),
        "dtype": some(["float32", "float64", "bfloat16"]),
        "seed": some([0, 1, 2]),
        "backend": some(["eager", "sdpa"]),
    }
)


@settings(deadline=None, max_examples=15, phases=[Phase.generate])  # shrinking takes minutes
@given(AXES)
def test_there_are_as_many_cases_as_the_distinct_values_multiply_to(
    axes: dict[str, list[Any]],
) -> None:
    wanted = math.prod(len(set(values)) for values in axes.values())
    whole: dict[str, Any] = {key: axes[key] for key in ("mode", "dtype", "seed")}
    whole["shape"] = {key: axes[key] for key in ("seq_len", "num_heads")}
    whole["attention"] = {"softmax": {"backend": axes["backend"]}}
    found = cases(**whole)
    assert len(found) == len({case.id for case in found}) == wanted
    again = cases(**{key: whole[key] for key in reversed(whole)})
    assert {case.id for case in again} == {case.id for case in found}


def test_threads_are_a_rule_of_the_protocol() -> None:
    one, two = (parse(suite(**given), "given", "given.yaml") for given in ({}, {"threads": 2}))
    assert (one.protocol.threads, two.protocol.threads) == (1, 2)
    assert one.protocol.id != two.protocol.id


@pytest.mark.parametrize(
    ("mechanism", "choice", "default", "other"),
    [
        ("linformer", "compression", "projection", "conv"),
        ("nystromformer", "landmarks", "segments", "pool"),
    ],
)
def test_a_choice_added_later_leaves_the_cases_of_its_default_as_they_were(
    mechanism: str, choice: str, default: str, other: str
) -> None:
    raw = {"shape": {"seq_len": 196}, "metrics": ["flops"]}
    suites = [
        parse(raw | {"attention": {mechanism: given}}, "given", "given")
        for given in ({}, {choice: default}, {choice: other})
    ]
    (plain,), (named,), (changed,) = (expand(suite, "cpu") for suite in suites)
    assert choice not in plain.params
    assert named == plain
    assert changed.params[choice] == other
