"""Nyströmformer against the ports' values, its limit, its iteration, and what it refuses.

Broken on purpose, each of these turned a test here red: D^½ for D^¼, q alone divided, landmarks of
q for those of k, longer segments first, softmax over the wrong axis, largest row sum for column
sum, one norm for the batch in place of each matrix's and the other way round, another default, 8
for 7 in the polynomial, ¼ left out, a step more, A transposed in a step, tokens left in bfloat16,
autocast left on, convolution across the tokens' column, convolution left out.
"""

from __future__ import annotations

from typing import Any, Literal

import pytest
import torch
from mechanism_checks import attend, leaves, relative, seeded, tokens
from pydantic import ValidationError
from torch import Tensor
from torch.nn import functional

from softbench.attention import nystromformer, softmax
from softbench.attention._pinv import pseudo_inverse
from softbench.case import Shape

PRECISIONS = [(torch.float64, 1e-9, 1e-7), (torch.float32, 6e-6, 2e-4)]
BOTH = pytest.mark.parametrize("backend", ["eager", "fused"])
CONV35 = nystromformer.Params(num_landmarks=8, pinv_init="original", conv_kernel_size=35)


def golden_call(
    params: nystromformer.Params, leaf: dict[str, Tensor], backend: str = "eager"
) -> Tensor:
    weights = {"value_conv": leaf["conv.weight"]}
    return nystromformer.BACKENDS[backend](
        leaf["q"], leaf["k"], leaf["v"], params=params, weights=weights, grid=None
    )


@BOTH
@pytest.mark.parametrize(("dtype", "output_bound", "gradient_bound"), PRECISIONS)
def test_goldens(
    golden: Any, dtype: torch.dtype, output_bound: float, gradient_bound: float, backend: str
) -> None:
    values = golden("nystromformer", "mlpen_conv35")
    leaf = leaves(values, dtype)
    out = golden_call(CONV35, leaf, backend)
    torch.autograd.backward(out, leaf["cot"].detach())
    assert relative(out, values["out"]) < output_bound
    for name in ("q", "k", "v", "conv.weight"):
        assert relative(leaf[name].grad, values[f"d_{name}"]) < gradient_bound, name


@BOTH
@pytest.mark.parametrize(("dtype", "output_bound", "gradient_bound"), PRECISIONS)
def test_attention_term_by_itself(
    golden: Any, dtype: torch.dtype, output_bound: float, gradient_bound: float, backend: str
) -> None:
    """The golden output less a convolution written out here, one channel at a time."""
    values = golden("nystromformer", "mlpen_conv35")
    columns = [
        functional.conv2d(
            values["v"][..., d, None], values["conv.weight"], padding=(17, 0), groups=2
        )
        for d in range(8)
    ]
    wanted = values["out"] - torch.cat(columns, dim=-1)
    assert wanted.norm() > 0.1 * values["out"].norm()
    params = CONV35.model_copy(update={"conv_kernel_size": 0})
    assert relative(golden_call(params, leaves(values, dtype), backend), wanted) < output_bound


def test_original_start_depends_on_the_batch_and_exact_does_not(golden: Any) -> None:
    values = golden("nystromformer", "mlpen_conv35")
    images = [{**values, **{n: values[n][b : b + 1] for n in "qkv"}} for b in range(2)]
    alone = torch.cat([golden_call(CONV35, image) for image in images])
    assert relative(alone, values["out_alone"]) < 1e-9
    assert relative(alone, values["out"]) > 1e-4
    exact = CONV35.model_copy(update={"pinv_init": "exact"})
    assert nystromformer.Params().pinv_init == "exact"
    by_image = torch.cat([golden_call(exact, image) for image in images])
    assert relative(by_image, golden_call(exact, values)) < 1e-13


@pytest.mark.parametrize("init", ["exact", "original"])
def test_every_iteration(golden: Any, init: Literal["exact", "original"]) -> None:
    values = golden("nystromformer", "pinv")
    for steps in range(1, 7):
        found = pseudo_inverse(values["K"], num_iters=steps, init=init)
        assert relative(found, values[f"{init}_{steps}"]) < 1e-9, f"step {steps}"


def layer_weights(values: dict[str, Tensor], prefix: str = "") -> dict[str, Tensor]:
    """The port's weights (or, by prefix, gradients) under our names."""
    weights: dict[str, Tensor] = {}
    for part in ("weight", "bias"):
        stacked = values[f"{prefix}qkv.{part}"].chunk(3)
        weights |= {f"{kind}_proj.{part}": w for kind, w in zip("qkv", stacked, strict=True)}
        weights[f"out_proj.{part}"] = values[f"{prefix}proj.{part}"]
    return weights


@BOTH
@pytest.mark.parametrize(("dtype", "output_bound", "gradient_bound"), PRECISIONS)
def test_layer_with_segments_of_two_lengths(
    golden: Any, dtype: torch.dtype, output_bound: float, gradient_bound: float, backend: str
) -> None:
    """50 tokens, 8 segments; the port adds the values to the output, which is done here too."""
    values = golden("nystromformer", "t2t_n50_m8")
    shape = Shape(batch_size=1, num_heads=2, seq_len=50, head_dim=8)
    params = nystromformer.Params(num_landmarks=8)
    layer = nystromformer.Attention(shape, params, backend=backend, generator=seeded()).to(dtype)
    layer.load_state_dict(layer_weights(values))
    x = values["x"].to(dtype).requires_grad_()
    out = layer(x) + layer.get_submodule("v_proj")(x)
    torch.autograd.backward(out, values["cot"].to(dtype))
    assert relative(out, values["out"]) < output_bound
    assert relative(x.grad, values["d_x"]) < gradient_bound
    for name, wanted in layer_weights(values, "d_").items():
        if name != "k_proj.bias":
            assert relative(layer.get_parameter(name).grad, wanted) < gradient_bound, name


def test_every_token_a_landmark_is_softmax_once_converged() -> None:
    q, k, v = (tokens(2, 2, 12, 4, seed=seed) for seed in range(3))
    wanted = softmax.attend(q, k, v, params=softmax.Params(), weights={}, grid=None)
    assert relative(attend(nystromformer, q, k, v, num_landmarks=12), wanted) > 1e-3
    found = attend(nystromformer, q, k, v, num_landmarks=12, num_pinv_iters=40)
    assert relative(found, wanted) < 1e-8
    assert relative(nystromformer.exact(q, k, v, nystromformer.Params()), wanted) < 1e-12


def test_landmark_inverse_is_the_one_that_attend_takes() -> None:
    q, k, v = (tokens(2, 2, 12, 4, seed=seed) for seed in range(3))
    params = nystromformer.Params(num_landmarks=3)
    a, z = nystromformer.landmark_inverse(q, k, params, {}, None)
    q_means, k_means = (x.reshape(2, 2, 3, 4, 4).mean(3) for x in (q, k))
    assert relative(a, (q_means @ k_means.mT / 2).softmax(-1)) < 1e-13
    f1, f3 = (q @ k_means.mT / 2).softmax(-1), (q_means @ k.mT / 2).softmax(-1)
    assert relative(attend(nystromformer, q, k, v, num_landmarks=3), f1 @ z @ (f3 @ v)) < 1e-12


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_narrow_inputs(recorded_operators: Any, dtype: torch.dtype) -> None:
    """Finite, in the dtype of v, near float32, every product in float32."""
    q, k, v = (tokens(1, 2, 50, 16, seed=seed, scale=2).to(dtype) for seed in range(3))
    with recorded_operators() as operators:
        out = attend(nystromformer, q, k, v, num_landmarks=8)
    products = [result for name, result in operators if name in ("bmm", "mm", "_softmax")]
    assert len(products) > 24
    assert all(product.dtype == torch.float32 for product in products)
    assert out.dtype == dtype
    wanted = attend(nystromformer, q.float(), k.float(), v.float(), num_landmarks=8)
    assert relative(out, wanted) < 1e-2


def test_autocast_stays_out() -> None:
    q, k, v = (tokens(1, 2, 64, 16, seed=seed).float() for seed in range(3))
    wanted = attend(nystromformer, q, k, v, num_landmarks=8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(attend(nystromformer, q, k, v, num_landmarks=8), wanted)


def test_layer_convolves_along_the_tokens_and_an_operator_does_not() -> None:
    layer = nystromformer.Params(**nystromformer.LEVEL_DEFAULTS["layer"])  # type: ignore[arg-type]
    shape = Shape(num_heads=3, seq_len=50)
    drawn = nystromformer.weights(shape, layer, seeded())
    assert drawn["value_conv"].shape == (3, 1, 33, 1)
    assert nystromformer.weights(shape, nystromformer.Params(), seeded()) == {}


def test_more_landmarks_than_tokens_are_unsupported() -> None:
    reason = nystromformer.supports(Shape(seq_len=48), nystromformer.Params())
    assert reason == "num_landmarks 49 is more than the 48 tokens"
    assert nystromformer.supports(Shape(seq_len=50), nystromformer.Params()) is None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_landmarks": 0}, "greater than or equal to 1"),
        ({"num_pinv_iters": 0}, "greater than or equal to 1"),
        ({"pinv_init": "batch"}, "'exact' or 'original'"),
        ({"conv_kernel_size": 32}, "32 is even; take 31 or 33, or 0 for none"),
        ({"num_newton_iters": 20}, "Extra inputs are not permitted"),
    ],
)
def test_params_refuse(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as error:
        nystromformer.Params(**fields)
    assert message in str(error.value)


def test_keys_are_needed() -> None:
    q = tokens(1, 1, 9, 4)
    with pytest.raises(ValueError, match="nystromformer needs keys; k is None"):
        attend(nystromformer, q, None, q, num_landmarks=4)
