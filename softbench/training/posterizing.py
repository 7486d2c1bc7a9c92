"""timm's RandAugment with a Pillow that refuses what it may draw.

At its largest magnitude timm's Posterize keeps 0 bits of a colour. Pillow made black of that, and
so did every training by this recipe, until it began to raise ValueError instead (seen with timm
1.0.31 and Pillow 13): one image in some hundreds would end a training.
"""

from __future__ import annotations

from typing import Any

from PIL import Image
from timm.data import auto_augment
from torchvision import transforms


def with_black(transform: transforms.Compose) -> transforms.Compose:
    """`transform` itself, 0 bits being black in its RandAugment, where it has one."""
    for step in transform.transforms:
        if isinstance(step, auto_augment.RandAugment):
            for one in step.ops:
                if one.aug_fn is auto_augment.posterize:
                    one.aug_fn = posterized
    return transform


def posterized(image: Image.Image, bits: int, **options: Any) -> Image.Image:
    """`image` with `bits` of each colour kept."""
    if bits < 1:
        return Image.new(image.mode, image.size)
    done: Image.Image = auto_augment.posterize(image, bits, **options)
    return done
