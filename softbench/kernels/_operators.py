"""Operators of our own for PyTorch: seen by whoever watches what is dispatched, shapes on meta."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch


def operator(
    name: str,
    run: Callable[..., Any],
    empty: Callable[..., Any],
    *,
    changes: Sequence[str] = (),
) -> None:
    """Define `softbench::name`: `run` on the CPU, `empty` where only shapes are asked for.

    Both take the same annotated arguments; `changes` names those that `run` writes to. PyTorch's
    `custom_op` would do the same and look for aliases in every call, 30 µs that a kernel of a few
    hundred need not spend; here no output shares memory with an input. An operator trusts who calls
    it: shapes are checked by the functions that stand beside it.
    """
    full = f"softbench::{name}"
    schema = torch.library.infer_schema(run, mutates_args=changes)
    torch.library.define(full, schema, tags=(torch.Tag.pt2_compliant_tag,))
    torch.library.impl(full, "cpu", run)
    torch.library.register_fake(full, empty)
