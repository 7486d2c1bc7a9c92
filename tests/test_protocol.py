"""The measuring rules as data: the id holds still, changes with any rule, and bad rules fail.

Mutants seen red: `flush_l2` left out of the id, the default of `threads` changed, strictness off.
"""

import math

import pytest
from pydantic import ValidationError

from softbench.protocol import Protocol

OTHER = {
    "threads": 2,
    "stretch_seconds": 4e-3,
    "warmup_seconds": 1.0,
    "warmup_agreement": 0.1,
    "sample_seconds": 1.0,
    "slow_seconds": 6.0,
    "min_stretches": 11,
    "target_width": 0.02,
    "sentinel_seconds": 1.0,
    "sentinel_tolerance": 0.2,
    "flush_l2": False,
}


def test_the_id_of_the_default_rules_holds_still() -> None:
    # Measured records are bound to it: change the rules knowingly, and this with them.
    assert Protocol().id == "3d6aa2b5fa6e"


@pytest.mark.parametrize("rule", sorted(OTHER))
def test_the_id_changes_with_every_rule(rule: str) -> None:
    assert Protocol.model_validate({rule: OTHER[rule]}).id != Protocol().id


def test_no_rule_is_left_out_above() -> None:
    fixed = {"version", "order", "float32_matmul", "tf32"}
    assert Protocol.model_fields.keys() - OTHER.keys() == fixed


def test_the_same_rules_have_the_same_id_after_json() -> None:
    rules = Protocol(stretch_seconds=0.1 + 0.2)
    read = Protocol.model_validate_json(rules.model_dump_json())
    assert read == rules
    assert read.id == rules.id


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        ("threads", 0),
        ("threads", 1.5),
        ("threads", True),
        ("stretch_seconds", 0.0),
        ("sample_seconds", -1.0),
        ("warmup_seconds", math.nan),
        ("sample_seconds", math.inf),
        ("warmup_agreement", 1.0),
        ("target_width", 0.0),
        ("min_stretches", 2),
        ("sentinel_seconds", 0.0),
        ("sentinel_tolerance", 1.0),
        ("order", "one after the other"),
        ("float32_matmul", "high"),
        ("tf32", True),
        ("flush_l2", "yes"),
        ("repeats", 3),
    ],
)
def test_a_rule_that_cannot_be_is_refused(rule: str, value: object) -> None:
    with pytest.raises(ValidationError, match=rule):
        Protocol.model_validate({rule: value})
