"""A suite's task: what models are trained on and how, and what that asks of the rest of the suite.

In a case a task is {"name", "params": the task's own, "recipe": how it is trained, "train_samples",
"test_samples": how many of each set at most, None for all}. In a suite file these keys stand side
by side, each a value or an axis. How it is trained is data of the metric that trains, its `Recipe`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, ValidationError

from softbench import plugins
from softbench.case import Value
from softbench.plugins import did_you_mean
from softbench.suite.parsing import explain
from softbench.suite.reading import SuiteError
from softbench.suite.schema import Suite

Limit = Annotated[int, Field(ge=1, le=2**40)] | None


class Limits(Value):
    """How many samples of a task are used at most: its first ones."""

    train_samples: Limit = None
    test_samples: Limit = None


def training(suite: Suite) -> list[str]:
    """The metrics of the suite that train."""
    return [name for name in suite.metrics if hasattr(plugins.load("metrics", name), "Recipe")]


def refuse_what_does_not_fit(suite: Suite) -> None:
    """Raise SuiteError where task, metrics and repeats do not go together."""
    trained = training(suite)
    if suite.task is None:
        if trained:
            raise SuiteError(f"metrics: {trained[0]} needs the key task, such as {{name: digits}}")
    elif not trained:
        raise SuiteError("task: no metric of the suite trains; add accuracy to metrics")
    else:
        _refuse_beside_a_task(suite, trained[0])


def resolved(given: Mapping[str, Any], metric: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A case's `task`, complete, and the parameters of a model that follow from it.

    Raises SuiteError for keys that neither the task nor the recipe has, or out of their bounds.
    """
    name, own = given["name"], {key: value for key, value in given.items() if key != "name"}
    module, recipe = plugins.load("tasks", name), plugins.load("metrics", metric).Recipe
    parts: dict[str, type[Value]] = {"params": module.Params, "recipe": recipe, "limits": Limits}
    known = {key: part for part, value in parts.items() for key in value.model_fields}
    for key in own:
        if key not in known:
            raise SuiteError(f"task: {name} has no {key!r}; {did_you_mean(key, known)}")
    values = {
        part: _validated(name, value, {k: v for k, v in own.items() if known[k] == part})
        for part, value in parts.items()
    }
    told = {part: value.model_dump(mode="json") for part, value in values.items()}
    follows: dict[str, Any] = getattr(module, "model_params", lambda params: {})(values["params"])
    return {"name": name, **{k: told[k] for k in ("params", "recipe")}, **told["limits"]}, follows


def fitted(model: Mapping[str, Any], follows: Mapping[str, Any], task: str) -> dict[str, Any]:
    """The model's given parameters with those that follow from the task.

    Raises SuiteError where the suite gives another value for one of these.
    """
    known = plugins.load("models", model["name"]).Params.model_fields
    for key, value in follows.items():
        if key not in known:
            raise SuiteError(f"task: {task} asks for a {key}, which model {model['name']} has not")
        if key in model and _plain(model[key]) != _plain(value):
            raise SuiteError(
                f"model.{key}: {model[key]!r} does not fit the task {task}, which has "
                f"{_plain(value)!r}; leave it out, it follows from the task"
            )
    return {**model, **follows}


def _validated(name: str, value: type[Value], own: Mapping[str, Any]) -> Value:
    try:
        return value(**own)
    except ValidationError as error:
        raise SuiteError(f"task: {name}: {explain(error)}") from None


def _plain(value: Any) -> Any:
    """Of two equal sides the one, as an image size may be written."""
    sides = value if isinstance(value, tuple | list) else None
    if sides is None:
        return value
    return sides[0] if len(set(sides)) == 1 else "x".join(map(str, sides))


def _refuse_beside_a_task(suite: Suite, metric: str) -> None:
    if suite.repeats != 1:
        raise SuiteError(
            f"repeats: {suite.repeats} would train the same twice; with {metric} seeds are the "
            "repeats: write repeats: 1 and seed: [0, 1, 2]"
        )
    if suite.mode != ["forward_backward"]:
        raise SuiteError(f"mode: {metric} trains, which takes mode: forward_backward alone")
    if not set(suite.dtype) <= {"auto", "float32"}:
        raise SuiteError(f"dtype: {metric} trains in float32 alone")
    if "batch_size" in suite.shape.model_fields_set or any(
        "shape.batch_size" in row for row in suite.zip
    ):
        raise SuiteError("shape.batch_size: with a task, task.batch_size is the size of a batch")
