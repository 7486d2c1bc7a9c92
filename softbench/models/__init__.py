"""Backbones: the SOFT family, the same pyramid and a plain ViT with any mechanism inside.

Importing this room makes them known to timm by name, see `_registered.py`, and does nothing else.
"""

from softbench.models import _registered as _registered
from softbench.models._checkpoints import CheckpointError as CheckpointError
from softbench.models._checkpoints import load_released as load_released
from softbench.models._macs import multiply_adds as multiply_adds
