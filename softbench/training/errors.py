"""What ends a training and is no defect of ours; every message is one line."""

from __future__ import annotations


class DataError(ValueError):
    """Images that are not there, cannot be read or do not fit; the message names them."""


class LateError(DataError):
    """An image that could not be read in the middle of a training: one process alone knows it."""


class RecipeError(ValueError):
    """A recipe that cannot be trained here; the message says which value and which rule."""


class CheckpointError(ValueError):
    """A checkpoint that is not there, broken, of another training or in the way."""


class Diverged(Exception):  # noqa: N818 - a finding
    """The loss or the weights are no longer finite; the message says since when."""
