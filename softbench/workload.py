"""A case becomes a seeded module, its inputs and one step to call.

Every tensor is drawn from a stream of its own, named by (seed, role), on the CPU in float32, and
only then cast and moved: a value does not depend on device, dtype or on which other tensors the
mechanism takes, so all mechanisms of a block see the same queries and values.
On the meta device nothing is drawn: shapes alone flow and the host allocates nothing.
A case with `compile` is not compiled on the meta device, where no kernel ever runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's own short name

from softbench import plugins
from softbench.case import Case, Dtype, Shape, Unsupported, content_hash

SMOOTH_POINTS = 7


@dataclass(frozen=True)
class Workload:
    """One case ready to run: `step` is the call that every metric measures."""

    case: Case
    module: nn.Module
    inputs: tuple[Tensor, ...]
    cotangent: Tensor | None

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


class Operator(nn.Module):
    """A mechanism at operator level: it owns the weights and calls one backend on given heads."""

    def __init__(
        self,
        attend: Callable[..., Tensor],
        weights: Mapping[str, Tensor],
        params: Any,
        shape: Shape,
        *,
        shares_keys: bool,
    ) -> None:
        """A learned weight (nn.Parameter) becomes a parameter, a drawn one a buffer."""
        super().__init__()
        self._attend, self._params, self._grid = attend, params, shape.grid
        self._shares_keys = shares_keys
        self._names = tuple(weights)
        for name, weight in weights.items():
            if isinstance(weight, nn.Parameter):
                self.register_parameter(name, weight)
            else:
                self.register_buffer(name, weight)

    def forward(self, *heads: Tensor) -> Tensor:
        """(q, k, v), or (q, v) where keys are the queries, each [B, H, N, D], to [B, H, N, D]."""
        if self._shares_keys:
            q_BHND, v_BHND = heads
            k_BHND = None
        else:
            q_BHND, k_BHND, v_BHND = heads
        weights = {name: getattr(self, name) for name in self._names}
        return self._attend(
            q_BHND, k_BHND, v_BHND, params=self._params, weights=weights, grid=self._grid
        )


def build(case: Case) -> Workload:
    """The workload of `case`: module, inputs and, in forward_backward, a cotangent.

    Raises Unsupported with the mechanism's own reason, and UnknownNameError for an unknown
    mechanism or backend.
    """
    mechanism = plugins.load("attention", case.attention)
    params = params_of(case)
    _check_backend(mechanism, case)
    reason = mechanism.supports(case.shape, params)
    if reason is not None:
        raise Unsupported(reason)
    with_gradient = case.mode == "forward_backward"
    module = _module(mechanism, params, case).train(with_gradient)
    if case.compile and case.device != "meta":
        module.compile()
    inputs = tuple(
        draw(case, role, smooth=case.inputs == "smooth").requires_grad_(with_gradient)
        for role in _roles(mechanism, case)
    )
    return Workload(case, module, inputs, draw(case, "cotangent") if with_gradient else None)


def params_of(case: Case) -> Any:
    """The mechanism's own Params of `case`; what it leaves out has the level's default."""
    mechanism = plugins.load("attention", case.attention)
    level_defaults = getattr(mechanism, "LEVEL_DEFAULTS", {}).get(case.level, {})
    return mechanism.Params(**{**level_defaults, **case.params})


def draw(case: Case, role: str, *, smooth: bool = False) -> Tensor:
    """The tensor that plays `role` in `case`: [B, H, N, D], at layer level [B, N, C].

    `smooth` enlarges a 7×7 normal grid per batch element and channel bilinearly to the token grid
    (7 points linearly where the tokens have no grid), corner to corner; else N(0, 1).
    """
    shape = case.shape
    dtype = torch_dtype(case.dtype)
    if case.device == "meta":
        return _as_level(torch.empty(_by_heads(shape), dtype=dtype, device="meta"), case)
    generator = _stream(case, role)
    values_BHND = _smooth(shape, generator) if smooth else _normal(shape, generator)
    return _as_level(values_BHND, case).to(device=case.device, dtype=dtype)


def torch_dtype(dtype: Dtype) -> torch.dtype:
    """The torch dtype of that name."""
    found: torch.dtype = getattr(torch, dtype)
    return found


def _module(mechanism: ModuleType, params: Any, case: Case) -> nn.Module:
    # Layers initialised by torch itself draw from the global stream: seeded too, then restored.
    generator = _stream(case, "weights")
    home = torch.device("meta" if case.device == "meta" else "cpu")
    with torch.random.fork_rng(devices=[]), home:
        torch.default_generator.manual_seed(generator.initial_seed())
        module = _level_module(mechanism, params, case, generator)
    return module.to(device=case.device, dtype=torch_dtype(case.dtype))


def _level_module(
    mechanism: ModuleType, params: Any, case: Case, generator: torch.Generator
) -> nn.Module:
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


def _roles(mechanism: ModuleType, case: Case) -> tuple[str, ...]:
    if case.level == "layer":
        return ("x",)
    return ("q", "v") if getattr(mechanism, "SHARES_KEYS", False) else ("q", "k", "v")


def _stream(case: Case, role: str) -> torch.Generator:
    # Adjacent seeds give correlated Mersenne states; a hash of the name does not.
    seed = int(content_hash([case.seed, role], 15), 16)
    return torch.Generator().manual_seed(seed)


def _by_heads(shape: Shape) -> tuple[int, int, int, int]:
    return shape.batch_size, shape.num_heads, shape.seq_len, shape.head_dim


def _normal(shape: Shape, generator: torch.Generator) -> Tensor:
    return torch.randn(_by_heads(shape), generator=generator)


def _smooth(shape: Shape, generator: torch.Generator) -> Tensor:
    B, H, N, D = _by_heads(shape)
    grid = shape.grid or (N,)
    points = [SMOOTH_POINTS] * len(grid)
    field = torch.randn(B, H * D, *points, generator=generator)
    mode = "bilinear" if shape.grid else "linear"
    enlarged = F.interpolate(field, size=grid, mode=mode, align_corners=True)
    return enlarged.reshape(B, H, D, N).transpose(2, 3).contiguous()


def _as_level(values_BHND: Tensor, case: Case) -> Tensor:
    return values_BHND.transpose(1, 2).flatten(2) if case.level == "layer" else values_BHND


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
