"""A suite's model: its parameters, complete, and the shape that they give to attention."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from softbench import plugins
from softbench.case import Case
from softbench.plugins import did_you_mean
from softbench.suite.parsing import explain
from softbench.suite.reading import SuiteError
from softbench.suite.schema import Suite


def sized(given: dict[str, Any], batch_size: int) -> dict[str, Any]:
    """A case's `model` and `shape`, from the model's name and those parameters that are given.

    Raises SuiteError for parameters that the model does not have or that are out of bounds.
    """
    name, own = given["name"], {key: value for key, value in given.items() if key != "name"}
    module = plugins.load("models", name)
    lacking = [needed for needed in plugins.ROOMS["models"] if not hasattr(module, needed)]
    if lacking:
        raise SuiteError(f"model: {name} defines no {lacking[0]}; see `softbench check {name}`")
    known = module.Params.model_fields
    for key in own:
        if key not in known:
            raise SuiteError(f"model: {name} has no {key!r}; {did_you_mean(key, known)}")
    try:
        params = module.Params(**own)
        shape = module.shape(params, batch_size)
    except ValidationError as error:
        raise SuiteError(f"model: {name}: {explain(error)}") from None
    return {"model": {"name": name, **params.model_dump(mode="json")}, "shape": shape}


def refuse_lengths_it_has_not(suite: Suite, cases: Iterable[Case]) -> None:
    """Raise SuiteError for a length of `predict_seq_len` that no case of a model has."""
    lengths = {case.shape.seq_len for case in cases}
    for length in suite.predict_seq_len if suite.model else ():
        if length not in lengths:
            known = ", ".join(map(str, sorted(lengths)))
            raise SuiteError(f"predict_seq_len: no case has {length} tokens, but {known}")
