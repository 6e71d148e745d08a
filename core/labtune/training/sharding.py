"""Train with weights, gradients and optimiser state shared out among the processes: PyTorch's FSDP2.

Each block's weights are put together when it runs and let go after; a process keeps its share of every tensor. What
goes to disk is whole tensors, so a checkpoint does not tell how many processes wrote it, or whether they shared.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from labtune.errors import SettingsError
from labtune.training.training import Training


@contextmanager
def sharded(training: Training, accelerator: Accelerator) -> Iterator[Training]:
    """Give the same training with its model shared out; at the end the whole model has what was learned.

    Every process of a run must call it.

    Parameters
    ----------
    training
        Its own model stays on the CPU meanwhile, mostly as the file that it was read from.
    accelerator
        Device and processes.

    Raises
    ------
    SettingsError
        If there is one process only, or the encoder names no blocks.
    """
    if accelerator.num_processes == 1:
        raise SettingsError("shard shares weights out among processes: add --processes 2 or more, or leave it out")
    if not training.model.encoder.blocks:
        raise SettingsError("shard works on an encoder's blocks, and this one names none: leave it out")
    shared = deepcopy(training.model)
    mesh = init_device_mesh(accelerator.device.type, (accelerator.num_processes,))
    for block in shared.encoder.blocks:
        fully_shard(block, mesh=mesh)
    fully_shard(shared, mesh=mesh)
    yield replace(training, model=shared)
    learned = {name: whole(tensor) for name, tensor in shared.state_dict().items()}
    training.model.load_state_dict(learned)
    training.model.to(accelerator.device)


def is_sharded(model: nn.Module) -> bool:
    """Say whether a model's weights are shared out."""
    return isinstance(model, FSDPModule)


def prepare(accelerator: Accelerator, model: Any, optimizer: torch.optim.Optimizer) -> tuple[Any, Any]:
    """Prepare for training: data-parallel, unless the weights are shared out, which is all that it takes then."""
    if not is_sharded(model):
        return accelerator.prepare(model, optimizer)  # type: ignore[no-any-return]  # not annotated
    return accelerator.prepare_model(model, evaluation_mode=True), accelerator.prepare_optimizer(optimizer)


@contextmanager
def put_together(model: nn.Module) -> Iterator[None]:
    """Have every process hold all weights meanwhile, so that each may run as many forward passes as it likes."""
    parts = [module for module in model.modules() if isinstance(module, FSDPModule)]
    for part in parts:
        part.set_reshard_after_forward(False, recurse=False)
        part.unshard()
    try:
        yield
    finally:
        for part in parts:
            part.reshard()
            part.set_reshard_after_forward(part is not model, recurse=False)


def whole(tensor: Tensor) -> Tensor:
    """Put a tensor together; every process must call it, for shared tensors in the same order."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def fill(target: Tensor, content: Tensor) -> None:
    """Copy a whole tensor into one that may be shared out."""
    target.copy_(like(target, content))


def like(target: Tensor, content: Tensor) -> Tensor:
    """Share a whole tensor out as another one is; every process has it already, so nothing is sent."""
    if not isinstance(target, DTensor):
        return content
    moved = content.to(target.device)
    return distribute_tensor(moved, target.device_mesh, target.placements, src_data_rank=None)
