"""Train a head on a frozen encoder: the hidden states are computed once, to a memory-mapped file.

The encoder then runs without dropout, so every epoch sees the same states; the head has its own dropout. What a head
can learn from all states at once, it learns first (``settle``). The file lies in the run folder and goes when training
ends.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from labtune.data.batching import shares, token_batches
from labtune.encoder.base import Encoder
from labtune.errors import RunError
from labtune.model import Model
from labtune.processes import from_first
from labtune.protocols import Batch
from labtune.ragged import Ragged
from labtune.training.training import Training

STATES = "states"


class States(Encoder):
    """Stands for an encoder whose hidden states are the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, inputs: Mapping[str, Ragged]) -> Ragged:
        """Hand the states through, ``(N, C)``."""
        return inputs[STATES]


def is_frozen(model: Model) -> bool:
    """Say whether nothing of the encoder learns."""
    return not any(parameter.requires_grad for parameter in model.encoder.parameters())


@contextmanager
def embedded(training: Training, accelerator: Accelerator) -> Iterator[Training]:
    """Give a training of the same head on stored hidden states; every process of a run must call it.

    Parameters
    ----------
    training
        Its model's head is trained in place.
    accelerator
        Device, processes and precision.

    Raises
    ------
    ValueError
        If any weight of the encoder learns.
    """
    if not is_frozen(training.model):
        raise ValueError("hidden states cannot be stored while the encoder learns")
    model, folder = accelerator.prepare_model(training.model, evaluation_mode=True), training.checkpoints
    files = [folder / f".{name}.states" for name in ("train", "valid")]
    try:
        train, valid = (
            None if data is None else _embed(model, data, file, training.settings.batch_tokens, accelerator)
            for data, file in zip((training.train, training.valid), files, strict=True)
        )
        assert train is not None
        ready = replace(training, model=Model(States(model.encoder.row_width), model.head), train=train, valid=valid)
        settle: Any = getattr(model.head, "settle", None)
        if settle is not None:
            settle(train, ready.model.encode)
        yield ready
    finally:
        for file in files:
            file.unlink(missing_ok=True)


@torch.inference_mode()
def _embed(model: Model, data: Batch, file: Path, budget: int, accelerator: Accelerator) -> Batch:
    """Compute the hidden states of all records; processes share the work and the file."""
    shape = (len(data.tokens.values), model.encoder.row_width)
    from_first(lambda: _reserve(file, shape))
    stored = torch.from_file(str(file), shared=True, size=shape[0] * shape[1]).view(shape)  # (N, C)
    model.eval()
    lengths = data.tokens.lengths.numpy()
    share = shares(range(len(data)), lengths, accelerator.num_processes)[accelerator.process_index]
    for rows in token_batches(share, lengths, budget):
        with accelerator.autocast():
            states = model.encode(data.select(rows).to(accelerator.device)).values
        stored[data.tokens.flat_index(rows)] = states.float().cpu()
    accelerator.wait_for_everyone()
    reference = None if data.reference is None else _subtracted(data.reference, model.encoder.row_width)
    return replace(data, inputs={**data.inputs, STATES: data.tokens.with_values(stored)}, reference=reference)


def _subtracted(reference: Batch, width: int) -> Batch:
    """A reference that is subtracted already: nothing is left of its states."""
    nothing = reference.tokens.with_values(torch.zeros(len(reference.tokens.values), width))
    return replace(reference, inputs={**reference.inputs, STATES: nothing})


def _reserve(file: Path, shape: tuple[int, int]) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("wb") as stream:
            size = 4 * shape[0] * shape[1]
            # Where the system can: a full disk is an error now, and not a crash at some later write.
            os.posix_fallocate(stream.fileno(), 0, size) if hasattr(os, "posix_fallocate") else stream.truncate(size)
    except OSError as error:
        raise RunError(f"{file}: cannot write ({error.strerror})") from error
