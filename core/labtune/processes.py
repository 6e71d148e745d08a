"""Several processes in one run: the only room that knows how they were started and how they talk.

Each process holds the whole model and reads all data; they share out the records of every step and of every prediction.
Without a launcher there is one process, and everything here answers at once.

Objects travel between the processes of one run as pickles over their own sockets; nothing of the kind reaches a disk.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

import torch
import torch.distributed as dist
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from labtune.errors import TrainingError
from labtune.memory import keep_freed_memory

T = TypeVar("T")
GRACE = 5.0  # seconds in which a launcher ends the other processes when one has failed


def start(precision: str) -> Accelerator:
    """Join the other processes of the run, if there are any, choose a device, and keep memory that steps free.

    Parameters
    ----------
    precision
        Accelerate's mixed precision, ``no`` or ``bf16``.

    Raises
    ------
    TrainingError
        If a launcher was asked for more processes than there are, or there are more than accelerators.
    """
    wanted = int(os.environ.get("WORLD_SIZE", "1"))
    if "MASTER_ADDR" in os.environ and "RANK" not in os.environ:
        # What `accelerate launch --cpu --num_processes 2` leaves: it starts one process and says nothing.
        raise TrainingError(
            "the launcher was asked for several processes but started one; use labtune run --processes, or torchrun"
        )
    local, devices = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if 0 < devices <= local:
        raise TrainingError(f"this machine has {devices} GPUs: start as many processes, not {local + 1} or more")
    keep_freed_memory()
    AcceleratorState._reset_state()  # an earlier run in this process may have had another precision
    accelerator = Accelerator(
        cpu=wanted > 1 and not devices,  # else accelerate starts alone
        mixed_precision=precision,
    )
    if accelerator.num_processes != wanted:
        raise TrainingError(f"{wanted} processes were asked for, but there are {accelerator.num_processes}")
    return accelerator


def leave() -> None:
    """Take leave of the other processes, where work has ended well in all of them.

    Without it Gloo's threads may outlive the interpreter and abort the process as it ends.
    """
    if dist.is_initialized():
        dist.destroy_process_group()


def rank() -> int:
    """Number of this process, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def count() -> int:
    """Number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def from_first(compute: Callable[[], T]) -> T:
    """Compute on the first process and give the result to all; every process must call it."""
    if count() == 1:
        return compute()
    found: list[T | None] = [compute() if rank() == 0 else None]
    dist.broadcast_object_list(found, src=0)
    return found[0]  # type: ignore[return-value]  # the broadcast has filled it


def gathered(found: Mapping[int, T]) -> dict[int, T]:
    """Put together what every process found, by key; every process must call it."""
    if count() == 1:
        return dict(found)
    everyone: list[Mapping[int, T]] = [{}] * count()
    dist.all_gather_object(everyone, dict(found))
    return {key: value for share in everyone for key, value in share.items()}


def anyone(condition: bool) -> bool:
    """Say whether it holds in any process; every process must call it."""
    return any(gathered({rank(): condition}).values())


@contextmanager
def told_of_losses(advice: str) -> Iterator[None]:
    """Turn a broken connection into one line, for when another process died.

    The launcher ends the remaining processes then, so this waits first: only one that nobody ends has to speak.

    Raises
    ------
    TrainingError
        With the advice.
    """
    try:
        yield
    except RuntimeError as error:
        if not is_loss(error):
            raise
        time.sleep(GRACE)
        raise TrainingError(f"another process of this run has died; {advice}") from error


def is_loss(error: BaseException | None) -> bool:
    """Say whether an error is a broken connection to another process; Gloo, on CPUs, raises plain runtime errors."""
    connection = isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error))
    return count() > 1 and connection
