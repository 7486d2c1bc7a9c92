"""A suite becomes its cases: the product of its axes, parameters under their mechanism."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from softbench import plugins
from softbench.case import Case, Shape
from softbench.plugins import did_you_mean
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
    cases: dict[str, Case] = {}
    for setting in _settings(suite, auto_device):
        for attention, backend, params in _mechanisms(suite):
            case = Case(
                level=suite.level, attention=attention, backend=backend, params=params, **setting
            )
            cases[case.id] = case
    return sorted(cases.values(), key=lambda case: (case.shape.seq_len, case.mode, case.block))


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
    for size in type(suite.shape).model_fields:
        values = getattr(suite.shape, size)
        if values is not None:
            axes[f"shape.{size}"] = values
    if suite.predict_seq_len:
        axes["shape.seq_len"] = [*axes["shape.seq_len"], *suite.predict_seq_len]
    for row in suite.zip or [{}]:
        for setting in _product({**axes, **{key: [value] for key, value in row.items()}}):
            yield from _resolved(setting, auto_device)


def _product(axes: dict[str, list[Any]]) -> Iterator[dict[str, Any]]:
    for values in itertools.product(*axes.values()):
        yield dict(zip(axes, values, strict=True))


def _resolved(setting: dict[str, Any], auto_device: str) -> Iterator[dict[str, Any]]:
    """Device and dtype `auto` replaced, the shape built."""
    sizes = {key.partition(".")[2]: setting[key] for key in setting if key.startswith("shape.")}
    if "seq_len" not in sizes and "grid" not in sizes:
        raise SuiteError("the shape needs seq_len (tokens) or grid (28x56)")
    try:
        shape = Shape.model_validate(sizes)
    except ValidationError as error:
        raise SuiteError(f"shape: {explain(error)}") from None
    rest = {key: value for key, value in setting.items() if not key.startswith("shape.")}
    device = auto_device if rest["device"] == "auto" else rest["device"]
    dtypes = [rest["dtype"]]
    if rest["dtype"] == "auto":
        dtypes = AUTO_DTYPES[device.partition(":")[0]]
    for dtype in dtypes:
        yield {**rest, "shape": shape, "device": device, "dtype": dtype}


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
    defaults = getattr(module, "LEVEL_DEFAULTS", {}).get(level, {})
    known = {*module.Params.model_fields, "backend"}
    for key in own:
        if key not in known:
            raise SuiteError(f"attention.{name}: unknown key {key!r}; {did_you_mean(key, known)}")
    try:
        params = module.Params(**{**defaults, **own})
    except ValidationError as error:
        raise SuiteError(f"attention.{name}.{explain(error)}") from None
    return name, backend, params.model_dump(mode="json")
