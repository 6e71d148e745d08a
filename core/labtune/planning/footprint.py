"""The memory of one training, found by trying its largest forward and backward pass on tensors without numbers.

The encoder runs on fake tensors; the head and the loss, which may look at numbers and are small, run for real between
its forward and its backward pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from labtune.data.batching import epoch_steps, token_batches
from labtune.device import precision_of
from labtune.memory import keep_freed_memory
from labtune.model import Model
from labtune.parts import Parts
from labtune.planning.ledger import Ledger, size_of, small_size_of
from labtune.protocols import Batch, Loss
from labtune.ragged import Ragged
from labtune.settings import Settings
from labtune.training.frozen import is_frozen

EVEN = 640  # tokens of a record at which attention costs about as much as the rest
EPOCH_SAMPLE = 2000  # steps of the first epoch that are looked through
SMALLEST_8BIT = 4096  # numbers: bitsandbytes keeps the moments of smaller tensors in float32
STATE_BLOCK = 256  # numbers that share a scale in its 8-bit moments
# Bytes in holes for each byte that a pass keeps in blocks of a common heap. GNU's ``posix_memalign`` asks for 96 bytes
# more and cuts them off, so a freed block is too small for the next of its size; weights that are unpacked for every
# product leave more. Found with MiniLM's shape, and checked with others by benchmarks/planned_memory.py.
HOLES, HOLES_UNPACKING = 0.65, 0.9


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes that a training needs at the same time, in one process.

    Parameters
    ----------
    weights
        Of encoder and head, as they are stored.
    gradients
        Of the weights that learn.
    optimizer
        Its running averages.
    activations
        What the largest pass keeps for its backward pass, and works with.
    holes
        What the system's allocator leaves unused between blocks of the activations.
    data
        The tokenised records.
    """

    weights: int
    gradients: int
    optimizer: int
    activations: int
    holes: int
    data: int

    @property
    def total(self) -> int:
        """All together."""
        return self.fixed + self.activations + self.holes

    @property
    def fixed(self) -> int:
        """What is needed whatever passes take."""
        return self.weights + self.gradients + self.optimizer + self.data

    def with_passes(self, found: np.ndarray, bits: int) -> Footprint:
        """Add what :func:`activations` found, with weights stored in so many bits."""
        every, small = map(int, found)
        shared = keep_freed_memory() and not torch.cuda.is_available()  # GNU's allocator, on its heap
        share = HOLES_UNPACKING if bits < 16 else HOLES
        return replace(self, activations=every, holes=int(share * small) if shared else 0)

    def among(self, processes: int, *, shard: bool) -> Footprint:
        """Say what each of several processes needs.

        Data-parallel training holds gradients twice, the second time as what is sent. Where weights are shared out, a
        process has its part of gradients and averages, and all weights while validation data are scored.
        """
        if processes == 1:
            return self
        if shard:
            return replace(self, gradients=self.gradients // processes, optimizer=self.optimizer // processes)
        return replace(self, gradients=2 * self.gradients)


def measure(parts: Parts, tokenised: Mapping[str, Batch], settings: Settings, mode: FakeTensorMode) -> Footprint:
    """Find the footprint of training these parts on these data.

    Parameters
    ----------
    parts
        With an encoder of fake tensors; see :func:`labtune.encoder.outline.outline_encoder`.
    tokenised
        ``train``, and what is predicted.
    settings
        Of the training.
    mode
        Of the encoder's tensors.
    """
    needed = activations(parts, tokenised, settings, mode)
    return before_passes(parts, tokenised, settings).with_passes(needed, settings.bits)


def activations(parts: Parts, tokenised: Mapping[str, Batch], settings: Settings, mode: FakeTensorMode) -> np.ndarray:
    """Find what passes take at most, gradients aside; see :func:`measure` for the parameters.

    Returns
    -------
    numpy.ndarray
        ``(2,)``, bytes: of all blocks, and of those that the allocator takes from a common heap.
    """
    model, learning = parts.model, list(parts.model.trainable().values())
    batch, several = largest_pass(tokenised["train"], settings)
    tried = [_learning(model, parts.loss, batch, mode, settings, passes=2 if several else 1)]
    predicted = [data for part, data in tokenised.items() if part != "train" or is_frozen(model)]
    asked = max((largest_batch(data, settings.batch_tokens) for data in predicted), key=_load_of, default=batch)
    if _load_of(asked) > _load_of(batch):  # else learning needs more
        tried.append(_predicting(model, asked, mode, settings))
    largest = max(tried, key=lambda ledger: ledger.peak)
    found = np.array([largest.peak - size_of(learning), largest.small - small_size_of(learning)])
    return found.clip(min=0)


def before_passes(parts: Parts, tokenised: Mapping[str, Batch], settings: Settings) -> Footprint:
    """Say what is needed whatever passes take, which is left at nothing."""
    model, learning = parts.model, list(parts.model.trainable().values())
    return Footprint(
        weights=size_of([*model.parameters(), *model.buffers()]),
        gradients=size_of(learning),
        optimizer=sum(state_size(parameter, settings) for parameter in learning),
        activations=0,
        holes=0,
        data=sum(_data_size(data) for data in tokenised.values())
        + (_states(model, tokenised) if is_frozen(model) else 0),
    )


def largest_pass(train: Batch, settings: Settings) -> tuple[Batch, bool]:
    """Find the forward pass of the first epoch that needs most memory, and whether any step takes several passes."""
    lengths = train.tokens.lengths.numpy()
    plan = epoch_steps(len(train), settings.batch_size, seed=settings.seed, epoch=0)
    cuts = [token_batches(rows, lengths, settings.batch_tokens) for rows in islice(plan, EPOCH_SAMPLE)]
    rows = max((rows for cut in cuts for rows in cut), key=lambda rows: _load(lengths[rows]))
    return train.select(rows), any(len(cut) > 1 for cut in cuts)


def largest_batch(data: Batch, budget: int) -> Batch:
    """Find the batch of a prediction that needs most memory."""
    lengths = data.tokens.lengths.numpy()
    batches = token_batches(range(len(data)), lengths, budget)
    return data.select(max(batches, key=lambda rows: _load(lengths[rows])))


def state_size(parameter: Tensor, settings: Settings) -> int:
    """Bytes that the optimiser keeps for a parameter."""
    count = parameter.numel()
    if settings.optimizer == "sgd":
        return 4 * count if settings.momentum else 0
    if settings.optimizer == "adamw8bit" and count >= SMALLEST_8BIT:
        return 2 * (count + 4 * -(-count // STATE_BLOCK))
    return 8 * count


def arithmetic(settings: Settings) -> AbstractContextManager[object]:
    """Give the context in which the forward passes of a training run."""
    return torch.autocast("cpu", torch.bfloat16, enabled=precision_of(settings.precision) == "bf16")


def _learning(
    model: Model, loss: Loss, batch: Batch, mode: FakeTensorMode, settings: Settings, *, passes: int
) -> Ledger:
    """Keep account of bytes alive, gradients included, in forward and backward passes over a batch."""
    with _watched(model, mode) as ledger:
        for _ in range(passes):
            hidden, given = _through_encoder(model, batch, mode, ledger, settings)
            with ledger.real():
                with arithmetic(settings):
                    output = model.head(batch.tokens.with_values(given), batch)
                loss(output, batch).backward()
            given.grad = None  # it is the gradient that the encoder gets below
            del output
            if hidden.requires_grad:
                hidden.backward(_zeros_like(hidden, mode))
            del hidden, given
        for parameter in model.parameters():
            parameter.grad = None
    return ledger


def _predicting(model: Model, batch: Batch, mode: FakeTensorMode, settings: Settings) -> Ledger:
    """Keep account of bytes alive in a forward pass whose results alone are kept."""
    model.eval()
    with torch.no_grad(), _watched(model, mode) as ledger:
        _, given = _through_encoder(model, batch, mode, ledger, settings)
        with ledger.real(), arithmetic(settings):
            model.head(batch.tokens.with_values(given), batch)
    model.train()
    return ledger


@contextmanager
def _watched(model: nn.Module, mode: FakeTensorMode) -> Iterator[Ledger]:
    with Ledger(mode, [*model.parameters(), *model.buffers()]) as ledger:
        yield ledger


def _through_encoder(
    model: Model, batch: Batch, mode: FakeTensorMode, ledger: Ledger, settings: Settings
) -> tuple[Tensor, Tensor]:
    """Hidden states ``(N, C)``, and a real tensor like them that the head can work on."""
    inputs = {name: ragged.with_values(mode.from_tensor(ragged.values)) for name, ragged in batch.inputs.items()}
    with arithmetic(settings):
        hidden = model.encode(replace(batch, inputs=inputs)).values
    with ledger.real():
        given = torch.zeros(hidden.shape, dtype=hidden.dtype)
    ledger.ignore(given)
    return hidden, given.requires_grad_(hidden.requires_grad)


def _load(lengths: np.ndarray) -> float:
    """Memory of a pass over records of these lengths, in units of a token of a short record."""
    return float((lengths * (1 + lengths / EVEN)).sum())


def _load_of(batch: Batch) -> float:
    return _load(batch.tokens.lengths.numpy())


def _zeros_like(tensor: Tensor, mode: FakeTensorMode) -> Tensor:
    with mode:
        return torch.zeros_like(tensor)


def _data_size(data: Batch) -> int:
    ragged: list[Ragged | None] = [*data.inputs.values(), data.units, data.targets]
    return size_of(tensor for part in ragged if part is not None for tensor in (part.values, part.offsets))


def _states(model: Model, tokenised: Mapping[str, Batch]) -> int:
    """Hidden states that a training of the head alone stores, in a file that is read as memory."""
    tokens = sum(len(data.tokens.values) for part, data in tokenised.items() if part in ("train", "valid"))
    return 4 * tokens * model.encoder.row_width
