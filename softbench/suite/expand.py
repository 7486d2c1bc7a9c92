"""A suite becomes its cases: the product of its axes, parameters under their mechanism."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from softbench import plugins
from softbench.case import Case, Shape
from softbench.plugins import did_you_mean
from softbench.suite import models, tasks
from softbench.suite.counting import only_counts
from softbench.suite.parsing import explain
from softbench.suite.reading import SuiteError
from softbench.suite.schema import Suite

# On CUDA, half precision is what models run in; on a CPU it is not.
AUTO_DTYPES = {"cpu": ["float32"], "meta": ["float32"], "cuda": ["float32", "bfloat16"]}


def expand(suite: Suite, auto_device: str) -> list[Case]:
    """Every case of the suite, once, in the order they are measured: by tokens, then by mode.

    auto_device: what `device: auto` means on this machine. Raises SuiteError for parameters
    that a mechanism does not have or that are out of bounds, and for lengths of which nothing
    would be told.
    """
    _refuse_silent_lengths(suite)
    tasks.refuse_what_does_not_fit(suite)
    cases: dict[str, Case] = {}
    for setting in _settings(suite, auto_device):
        for attention, backend, params in _mechanisms(suite):
            case = Case(
                level=suite.level, attention=attention, backend=backend, params=params, **setting
            )
            cases[case.id] = case
    models.refuse_lengths_it_has_not(suite, cases.values())
    return sorted(cases.values(), key=_turn)


def _turn(case: Case) -> tuple[int, int, str, str]:
    """By tokens, then by mode; of trainings seed by seed, so that mechanisms have equally many."""
    if case.task:
        return case.seed, case.shape.seq_len, case.mode, ""
    return 0, case.shape.seq_len, case.mode, case.block


def _refuse_silent_lengths(suite: Suite) -> None:
    if suite.predict_seq_len and not any(only_counts(name) for name in suite.metrics):
        raise SuiteError(
            "predict_seq_len: nothing runs at these lengths, so the suite needs a metric that only "
            "counts, such as flops or predicted_peak_memory; --set predict_seq_len=[] drops them"
        )


def _settings(suite: Suite, auto_device: str) -> Iterator[dict[str, Any]]:
    """Shape and everything else that is common to all mechanisms, one dictionary a setting."""
    axes: dict[str, list[Any]] = {
        key: getattr(suite, key) for key in ("inputs", "dtype", "device", "mode", "compile", "seed")
    }
    for size in type(suite.shape).model_fields if suite.model is None else ("batch_size",):
        values = getattr(suite.shape, size)
        if values is not None:
            axes[f"shape.{size}"] = values
    for room in ("model", "task"):
        for key, value in (getattr(suite, room) or {}).items():
            axes[f"{room}.{key}"] = value if key != "name" else [value]
    if suite.predict_seq_len and suite.model is None:
        axes["shape.seq_len"] = [*axes["shape.seq_len"], *suite.predict_seq_len]
    for row in suite.zip or [{}]:
        for setting in _product({**axes, **{key: [value] for key, value in row.items()}}):
            yield from _resolved(setting, suite, auto_device)


def _product(axes: dict[str, list[Any]]) -> Iterator[dict[str, Any]]:
    for values in itertools.product(*axes.values()):
        yield dict(zip(axes, values, strict=True))


def _resolved(setting: dict[str, Any], suite: Suite, auto_device: str) -> Iterator[dict[str, Any]]:
    """Device and dtype `auto` replaced, the shape built, of a model's parameters if there are."""
    rest = {key: value for key, value in setting.items() if "." not in key}
    device = auto_device if rest["device"] == "auto" else rest["device"]
    dtypes = [rest["dtype"]]
    if rest["dtype"] == "auto":
        dtypes = ["float32"] if suite.task else AUTO_DTYPES[device.partition(":")[0]]
    sized = _sized(setting, suite)
    for dtype in dtypes:
        yield {**rest, **sized, "device": device, "dtype": dtype}


def _sized(setting: dict[str, Any], suite: Suite) -> dict[str, Any]:
    """A case's shape, and its model and task where it has them."""
    sizes, model, task = (_of_room(room, setting) for room in ("shape", "model", "task"))
    if task:
        told, follows = tasks.resolved(task, tasks.training(suite)[0])
        fitted = tasks.fitted(model, follows, task["name"])
        return {"task": told, **models.sized(fitted, told["recipe"]["batch_size"])}
    return models.sized(model, sizes["batch_size"]) if model else {"shape": _shape(sizes)}


def _of_room(room: str, setting: dict[str, Any]) -> dict[str, Any]:
    """What `setting` holds under keys such as shape.batch_size, by their last part."""
    split = ((key.partition("."), value) for key, value in setting.items())
    return {last: value for (first, _, last), value in split if last and first == room}


def _shape(sizes: dict[str, Any]) -> Shape:
    if "seq_len" not in sizes and "grid" not in sizes:
        raise SuiteError("the shape needs seq_len (tokens) or grid (28x56)")
    try:
        return Shape.model_validate(sizes)
    except ValidationError as error:
        raise SuiteError(f"shape: {explain(error)}") from None


def _mechanisms(suite: Suite) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(mechanism, backend, complete parameters) of every variant in the suite."""
    others = [name for name in plugins.names("attention") if name not in suite.attention]
    for wanted, variants in suite.attention.items():
        for name in others if wanted == "*" else [wanted]:
            for variant in variants:
                for given in _product({"backend": ["eager"], **variant}):
                    yield _mechanism(name, given, suite.level)


def _mechanism(name: str, given: dict[str, Any], level: str) -> tuple[str, str, dict[str, Any]]:
    """One variant with its defaults filled in. The mechanism's Params say what is allowed."""
    module = plugins.load("attention", name)
    backend = given["backend"]
    for needed in ("BACKENDS", "Params"):
        if not hasattr(module, needed):
            raise SuiteError(f"attention.{name} defines no {needed}; see `softbench check {name}`")
    if not isinstance(backend, str) or backend not in module.BACKENDS:
        near = did_you_mean(backend, module.BACKENDS)
        raise SuiteError(f"attention.{name}: no backend {backend!r}; {near}")
    own = {key: value for key, value in given.items() if key != "backend"}
    # A model is made of layers; it fills in itself what is not given, by stages if it has some.
    inside = "layer" if level == "model" else level
    defaults = getattr(module, "LEVEL_DEFAULTS", {}).get(inside, {})
    known = {*module.Params.model_fields, "backend"}
    for key in own:
        if key not in known:
            raise SuiteError(f"attention.{name}: unknown key {key!r}; {did_you_mean(key, known)}")
    try:
        params = module.Params(**{**defaults, **own})
    except ValidationError as error:
        raise SuiteError(f"attention.{name}.{explain(error)}") from None
    dumped = params.model_dump(mode="json")
    return name, backend, {key: dumped[key] for key in own} if level == "model" else dumped
