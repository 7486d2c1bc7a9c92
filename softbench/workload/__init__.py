"""A case becomes a seeded module, its inputs and one step to call.

A case with `compile` is not compiled on the meta device, where no kernel ever runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from softbench import plugins
from softbench.case import Case, Unsupported
from softbench.workload import model
from softbench.workload.inputs import draw, stream, torch_dtype
from softbench.workload.operator import Operator
from softbench.workload.outputs import draw_cotangent


@dataclass(frozen=True)
class Workload:
    """One case ready to run: `step` is the call that every metric measures.

    At level model the step of forward_backward is that of training without the optimiser's: logits,
    and from a cotangent in place of a loss the gradients of all parameters, none of the input.

    twin_of: the case that it stands for, where it is that case's twin on the meta device.
    place: a folder that outlives the process, for what a metric would go on from after a kill.
    """

    case: Case
    module: nn.Module
    inputs: tuple[Tensor, ...]
    cotangent: Tensor | None
    twin_of: Case | None = None
    place: Path | None = None

    def step(self) -> Tensor:
        """One call: the output, and in forward_backward fresh gradients too.

        Gradients are set to None first, so none is ever added to an older one.
        Raises RuntimeError if the output is not on the case's device or of its dtype.
        """
        if self.cotangent is None:
            with torch.no_grad():
                return self._forward()
        self.clear_gradients()
        output = self._forward()
        output.backward(self.cotangent)  # type: ignore[no-untyped-call]
        return output.detach()

    def clear_gradients(self) -> None:
        """Set every gradient of inputs and parameters to None."""
        for tensor in (*self.inputs, *self.module.parameters()):
            tensor.grad = None

    def synchronize(self) -> None:
        """Wait until the device has finished what was asked of it."""
        if self.case.device.startswith("cuda"):
            torch.cuda.synchronize(self.case.device)

    def _forward(self) -> Tensor:
        output: Tensor = self.module(*self.inputs)
        _check_output(output, self.case)
        return output


def build(case: Case) -> Workload:
    """The workload of `case`: module, inputs and, in forward_backward, a cotangent.

    Raises Unsupported with the mechanism's or the model's own reason, or for a backend that the
    device has not got, and UnknownNameError for an unknown mechanism or backend.
    """
    mechanism = plugins.load("attention", case.attention)
    _check_backend(mechanism, case)
    reason = _why_not(mechanism, case)
    if reason is not None:
        raise Unsupported(reason)
    backend_ran(case)
    with_gradient = case.mode == "forward_backward"
    module = _module(mechanism, case).train(with_gradient)
    if case.compile and case.device != "meta":
        module.compile()
    inputs = _inputs(mechanism, case, with_gradient=with_gradient)
    return Workload(case, module, inputs, draw_cotangent(case) if with_gradient else None)


def backend_ran(case: Case) -> str:
    """What runs for the case's backend on its device, as the mechanism says (SDPA's kernel, say).

    The backend's own name where the mechanism does not say, and on the meta device, where nothing
    runs. Raises Unsupported where the device has no such backend.
    """
    says = getattr(plugins.load("attention", case.attention), "backend_ran", None)
    if says is None or case.device == "meta":
        return case.backend
    ran: str = says(
        case.shape,
        backend=case.backend,
        device=case.device,
        dtype=torch_dtype(case.dtype),
        with_gradient=case.mode == "forward_backward",
    )
    return ran


def resolved(case: Case) -> Case:
    """The case with the backend `auto` replaced by what it takes on the case's device.

    For who counts or predicts on the meta device, where every backend runs. Raises Unsupported.
    """
    if case.backend != "auto":
        return case
    return case.model_copy(update={"backend": backend_ran(case)})


def params_of(case: Case) -> Any:
    """The mechanism's own Params of `case`; what it leaves out has the level's default.

    Of a model it has those of a layer, though the model may give its layers others.
    """
    mechanism = plugins.load("attention", case.attention)
    inside = "layer" if case.level == "model" else case.level
    level_defaults = getattr(mechanism, "LEVEL_DEFAULTS", {}).get(inside, {})
    return mechanism.Params(**{**level_defaults, **case.params})


def _why_not(mechanism: ModuleType, case: Case) -> str | None:
    if case.level == "model":
        return model.why_not(case)
    reason: str | None = mechanism.supports(case.shape, params_of(case))
    return reason


def _module(mechanism: ModuleType, case: Case) -> nn.Module:
    # Layers initialised by torch itself draw from the global stream: seeded too, then restored.
    generator = stream(case, "weights")
    home = torch.device("meta" if case.device == "meta" else "cpu")
    with torch.random.fork_rng(devices=[]), home:
        torch.default_generator.manual_seed(generator.initial_seed())
        module = _level_module(mechanism, case, generator)
    return module.to(device=case.device, dtype=torch_dtype(case.dtype))


def _level_module(mechanism: ModuleType, case: Case, generator: torch.Generator) -> nn.Module:
    if case.level == "model":
        return model.module(case, generator)
    params = params_of(case)
    if case.level == "layer":
        layer: nn.Module = mechanism.Attention(
            case.shape, params, backend=case.backend, generator=generator
        )
        return layer
    return Operator(
        mechanism.BACKENDS[case.backend],
        mechanism.weights(case.shape, params, generator),
        params,
        case.shape,
        shares_keys=getattr(mechanism, "SHARES_KEYS", False),
    )


def _inputs(mechanism: ModuleType, case: Case, *, with_gradient: bool) -> tuple[Tensor, ...]:
    if case.level == "model":
        return (model.draw_input(case),)
    return tuple(
        draw(case, role, smooth=case.inputs == "smooth").requires_grad_(with_gradient)
        for role in _roles(mechanism, case)
    )


def _roles(mechanism: ModuleType, case: Case) -> tuple[str, ...]:
    if case.level == "layer":
        return ("x",)
    return ("q", "v") if getattr(mechanism, "SHARES_KEYS", False) else ("q", "k", "v")


def _check_backend(mechanism: ModuleType, case: Case) -> None:
    if case.backend not in mechanism.BACKENDS:
        hint = plugins.did_you_mean(case.backend, mechanism.BACKENDS)
        raise plugins.UnknownNameError(f"{case.attention} has no backend {case.backend!r}; {hint}")


def _check_output(output: Tensor, case: Case) -> None:
    device = torch.device(case.device)
    same_place = output.device.type == device.type and device.index in (None, output.device.index)
    if not same_place or output.dtype != torch_dtype(case.dtype):
        raise RuntimeError(
            f"{case.label}: the output is {output.dtype} on {output.device}, "
            f"the case asks for torch.{case.dtype} on {case.device}"
        )
