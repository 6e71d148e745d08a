"""Counting the bytes that a piece of PyTorch would have alive, without spending them.

Fake tensors have a shape, a type and a device, but no numbers behind them: torch's own way of trying a computation out.
A ledger watches every operation, fake or real, and keeps account of the storages that come and go.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from labtune.memory import APART

LARGE = 2**17  # elements; what is smaller and made from nothing, such as positions, stays real
MAKERS = (
    torch.ops.aten.empty.memory_format,
    torch.ops.aten.zeros.default,
    torch.ops.aten.ones.default,
    torch.ops.aten.full.default,
)


def fake_mode() -> FakeTensorMode:
    """Make a mode whose tensors may meet real ones, such as the boundaries of a batch."""
    return FakeTensorMode(allow_non_fake_inputs=True)


class Ledger(TorchDispatchMode):
    """Within this context, the bytes alive of tensors that operations make, and the most there were.

    ``small`` says how much of ``peak`` was in blocks that an allocator takes from a common heap.

    Parameters
    ----------
    mode
        Of the fake tensors: large tensors that are made from nothing are made fake.
    known
        Tensors that are there already and not counted.
    """

    def __init__(self, mode: FakeTensorMode, known: Iterable[Tensor] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's own is not annotated
        self.mode = mode
        self.fakes = True
        self.live = self.live_small = 0
        self.peak = self.small = 0
        self.sizes: dict[int, int] = {}
        for tensor in known:
            self.ignore(tensor)

    def ignore(self, tensor: Tensor) -> None:
        """Leave a tensor out of the account, from now on."""
        storage = tensor.untyped_storage()
        if id(storage) not in self.sizes:
            self._enter(storage, 0)
        self._leave(id(storage))
        self.sizes[id(storage)] = 0

    @contextmanager
    def real(self) -> Iterator[None]:
        """Leave real what is made from nothing, whatever its size: for parts that look at numbers to choose shapes."""
        self.fakes = False
        try:
            yield
        finally:
            self.fakes = True

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and account for what it returns."""
        options = kwargs or {}
        if self.fakes and func in MAKERS and math.prod(args[0]) > LARGE:
            with self.mode:
                result = func(*args, **options)
        else:
            result = func(*args, **options)
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._count(leaf)
        return result

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if id(storage) in self.sizes:
            return
        self._enter(storage, storage.nbytes())
        if self.live > self.peak:
            self.peak, self.small = self.live, self.live_small

    def _enter(self, storage: Any, size: int) -> None:
        self.sizes[id(storage)] = size
        self.live += size
        self.live_small += small_part(size)
        weakref.finalize(storage, self._leave, id(storage))

    def _leave(self, key: int) -> None:
        size = self.sizes.pop(key)
        self.live -= size
        self.live_small -= small_part(size)


def small_part(size: int) -> int:
    """Bytes of a block, if it is taken from a common heap."""
    return size if size < APART else 0


def size_of(tensors: Iterable[Tensor]) -> int:
    """Bytes of tensors, fake or real; storage that several share counts once."""
    return sum(_blocks(tensors))


def small_size_of(tensors: Iterable[Tensor]) -> int:
    """Bytes of tensors in blocks that are taken from a common heap."""
    return sum(map(small_part, _blocks(tensors)))


def _blocks(tensors: Iterable[Tensor]) -> list[int]:
    storages = {id(tensor.untyped_storage()): tensor.untyped_storage() for tensor in tensors}
    return [storage.nbytes() for storage in storages.values()]
