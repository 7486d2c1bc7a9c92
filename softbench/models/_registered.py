"""The backbones by name in timm: `timm.create_model("soft_tiny")` after `import softbench.models`.

`soft_tiny` to `soft_huge`, `soft_norm_tiny` to `soft_norm_huge` (SOFT++), and for every mechanism
`pyramid_<mechanism>_tiny` and `vit_<mechanism>`. No weights are hosted: `pretrained=True` needs a
file, see `_entry`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models._builder import resolve_pretrained_cfg
from torch import nn

from softbench import plugins
from softbench.models import _checkpoints, vit
from softbench.models._backbone import Backbone
from softbench.models._sizes import SIZES

Make = Callable[..., nn.Module]


def _cfg(**others: Any) -> dict[str, Any]:
    """How images are prepared: 224 from 256 pixels, bicubic, as the authors evaluate."""
    return {
        "input_size": (3, 224, 224),
        "crop_pct": 0.875,
        "interpolation": "bicubic",
        "mean": IMAGENET_DEFAULT_MEAN,
        "std": IMAGENET_DEFAULT_STD,
        "num_classes": 1000,
        "first_conv": "stages.0.embed.0",
        "classifier": "head",
        **others,
    }


def _pyramid(
    size: str,
    attention: str,
    *,
    img_size: int | tuple[int, int] = 224,
    global_pool: str = "token",
    **kwargs: Any,
) -> nn.Module:
    """A backbone by timm's names for its options. ValueError: a pooling it has not got."""
    if global_pool != "token":
        raise ValueError(f"global_pool {global_pool!r}: the head has the class token; 'token'")
    sides = (img_size, img_size) if isinstance(img_size, int) else img_size
    return Backbone(SIZES[size], attention=attention, image_size=sides, **kwargs)


def _vit(
    attention: str,
    *,
    img_size: int | tuple[int, int] = 224,
    attention_params: Mapping[str, Any] | None = None,
    backend: str = "eager",
    drop_rate: float = 0.0,
    drop_path_rate: float = 0.0,
    generator: torch.Generator | None = None,
    **kwargs: Any,
) -> nn.Module:
    """A plain transformer; every other option is one of `vit.Params`."""
    return vit.plain(
        vit.Params(image_size=img_size, **kwargs),  # type: ignore[arg-type]
        attention=attention,
        attention_params=attention_params or {},
        backend=backend,
        generator=generator,
        drop_rate=drop_rate,
        drop_path_rate=drop_path_rate,
    )


def _entry(name: str, make: Make, feature_cfg: Mapping[str, Any]) -> Make:
    """timm's entry point: every option of the backbone, and timm's own.

    pretrained: weights from a file, `pretrained_cfg_overlay={"file": PATH}`, by the names of the
    released checkpoints or by ours; read without running code from it. ValueError: no file.
    """

    def create(pretrained: bool = False, **kwargs: Any) -> nn.Module:
        if pretrained:
            kwargs["pretrained_cfg_overlay"] = _read(name, kwargs)
        model: nn.Module = build_model_with_cfg(
            make,
            name,
            pretrained,
            pretrained_filter_fn=_checkpoints.checkpoint_filter_fn,
            feature_cfg=dict(feature_cfg),
            **kwargs,
        )
        return model

    create.__name__ = create.__qualname__ = name
    create.__module__ = __name__
    return create


def _read(name: str, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """What is laid over the model's configuration: the weights themselves, where a file was."""
    overlay = dict(kwargs.get("pretrained_cfg_overlay") or {})
    found = resolve_pretrained_cfg(name, kwargs.get("pretrained_cfg"), overlay)
    if found.state_dict:
        return overlay
    if not found.file:
        raise ValueError(
            f"no weights of {name} are hosted; pretrained=True needs a file: "
            "pretrained_cfg_overlay={'file': PATH}"
        )
    return {**overlay, "file": None, "state_dict": _checkpoints.read(found.file)}


def _entries() -> dict[str, tuple[Make, dict[str, Any]]]:
    """Every name with what makes its model, and how features are taken from it."""
    images = {"out_indices": (0, 1, 2, 3), "feature_cls": "getter"}
    made: dict[str, tuple[Make, dict[str, Any]]] = {}
    for attention in ("soft", "soft_norm"):
        for size in SIZES:
            made[f"{attention}_{size}"] = (partial(_pyramid, size, attention), images)
    for attention in plugins.names("attention"):
        made[f"pyramid_{attention}_tiny"] = (partial(_pyramid, "tiny", attention), images)
        made[f"vit_{attention}"] = (partial(_vit, attention), {**images, "out_indices": 3})
    return made


ENTRIES = _entries()
default_cfgs = generate_default_cfgs(
    {
        name: _cfg(first_conv="embed.proj", fixed_input_size=True)
        if name.startswith("vit_")
        else _cfg()
        for name in ENTRIES
    }
)
for _name, (_make, _feature_cfg) in ENTRIES.items():
    register_model(_entry(_name, _make, _feature_cfg))
