"""Bytes of tensors alive, followed storage by storage through a dispatch mode.

A storage counts from the operator that makes it until nothing holds it: views share their base's
storage and add nothing, and one that was seen first as an argument lived before and never counts.
Workspace that a kernel takes and returns inside one operator does not show in dispatch: it comes
from a formula per operator, on top of the operator's own outputs. An allocator that hands out whole
blocks makes a storage as large as the blocks it fills.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

Workspace = Callable[[OpOverload, tuple[Any, ...], Any], int]


class LivenessTracker(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows live bytes while it is entered; `peak` is the most that lived at one time."""

    def __init__(self, workspace: Workspace, block_bytes: int = 1) -> None:
        """Start with nothing alive; `workspace` says what an operator takes inside itself."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = self.peak = 0
        self._workspace, self._block_bytes = workspace, block_bytes
        self._known: dict[int, int] = {}

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run `func`; what its arguments hold is old, what only its outputs hold is new."""
        for storage in _storages((args, kwargs)):
            self._meet(storage, size=0)
        output = func(*args, **(kwargs or {}))
        for storage in _storages(output):
            blocks = -(-storage.nbytes() // self._block_bytes)
            self._meet(storage, size=blocks * self._block_bytes)
        self.peak = max(self.peak, self.live + self._workspace(func, args, output))
        return output

    def _meet(self, storage: torch.UntypedStorage, size: int) -> None:
        address = storage._cdata
        if address in self._known:
            return
        self._known[address] = size
        self.live += size
        weakref.finalize(storage, self._forget, address).atexit = False

    def _forget(self, address: int) -> None:
        self.live -= self._known.pop(address)


def _storages(values: Any) -> Iterable[torch.UntypedStorage]:
    return (leaf.untyped_storage() for leaf in tree_leaves(values) if isinstance(leaf, Tensor))
