"""One optimiser step: its share of the records, forward, backward, clip, update."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any, cast

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from labtune.data.batching import shares, stable_seed, token_batches
from labtune.errors import TrainingError
from labtune.protocols import Batch
from labtune.training.journal import Journal
from labtune.training.optimisation import drop_idle_gradients
from labtune.training.training import Training


class StepRunner:
    """Makes optimiser steps.

    When memory runs out the token budget is halved for good and the step repeated: the same records, cut finer.

    Parameters
    ----------
    training
        Parts, data and settings.
    accelerator
        Device, processes and precision.
    model, optimizer
        As the accelerator prepared them.
    budget
        Tokens a forward pass, less than the settings say when memory ran out before.
    """

    def __init__(self, training: Training, accelerator: Accelerator, model: Any, optimizer: Any, budget: int) -> None:
        self.training = training
        self.accelerator = accelerator
        self.model = model
        self.optimizer = optimizer
        self.budget = min(training.settings.batch_tokens, budget)
        self.lengths = training.train.tokens.lengths.numpy()
        self.parameters = list(training.model.trainable().values())

    def __call__(self, rows: np.ndarray, step: int, journal: Journal) -> tuple[float, int]:
        """Learn from some records; return the loss and the tokens over all processes.

        Parameters
        ----------
        rows
            Of the training data.
        step
            Number of the step, from 0.
        journal
            Is told when memory ran out.

        Raises
        ------
        TrainingError
            If the loss is not finite, or memory runs out and nothing can be cut finer.
        """
        while (loss := self._gradients(rows, step)) is None:
            self._halve_budget(rows, step, journal)
        whole = cast("Tensor", self.accelerator.reduce(loss, "sum"))
        drop_idle_gradients(self.optimizer)
        if self.training.settings.clip:
            self.accelerator.clip_grad_norm_(self.parameters, self.training.settings.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        value = float(whole)  # read last: it waits for the device, which until here was told all there is to do
        if not math.isfinite(value):  # the weights are spoiled, but no checkpoint has them
            raise TrainingError(
                f"the loss is {value} at step {step + 1}; try a smaller learning rate, or --set precision=float32"
            )
        return value, int(self.lengths[rows].sum())

    def _gradients(self, rows: np.ndarray, step: int) -> Tensor | None:
        """Leave the gradients in the parameters; return this process's part of the loss, or None without memory."""
        seed_step(self.training.settings.seed, step, self.accelerator.process_index)
        try:
            return self._accumulate(rows)
        except (RuntimeError, MemoryError) as error:
            if not _is_memory(error):
                raise
            if self.accelerator.num_processes > 1:  # the others wait for gradients that never come
                raise TrainingError(
                    f"memory ran out at step {step + 1}; go on with --resume --set batch_tokens={self.budget // 2}"
                ) from error
            return None

    def _accumulate(self, rows: np.ndarray) -> Tensor:
        train, accelerator = self.training.train, self.accelerator
        dealt = shares(rows, self.lengths, accelerator.num_processes)
        cuts = [token_batches(share, self.lengths, self.budget) for share in dealt]
        targets = self.training.loss.count(train.select([int(row) for row in rows]))
        total = torch.zeros((), device=accelerator.device)
        rounds = max(map(len, cuts))
        for index, batch, counts in self._batches(cuts[accelerator.process_index], rounds):
            last = index == rounds - 1
            with nullcontext() if last else accelerator.no_sync(self.model):
                loss = self._loss(batch, targets) * counts
                # Data-parallel training averages gradients over processes; the step's loss is a sum over them.
                accelerator.backward(loss * accelerator.num_processes)
            total += loss.detach()
        return total

    def _batches(self, cuts: list[list[int]], rounds: int) -> Iterator[tuple[int, Batch, float]]:
        """This process's batches; where others have more, a record that counts nothing keeps it in step."""
        for index in range(rounds):
            rows, counts = (cuts[index], 1.0) if index < len(cuts) else ([0], 0.0)
            yield index, self.training.train.select(rows).to(self.accelerator.device), counts

    def _loss(self, batch: Batch, targets: int) -> Tensor:
        output = self.model(batch)
        return self.training.loss(output, batch) * (self.training.loss.count(batch) / max(targets, 1))

    def _halve_budget(self, rows: np.ndarray, step: int, journal: Journal) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        longest = int(self.lengths[rows].max())
        if all(len(cut) == 1 for cut in token_batches(rows, self.lengths, self.budget)):
            raise TrainingError(
                f"memory ran out at step {step + 1} with one record of {longest} tokens at a time; choose a smaller "
                f"encoder or method, or --set encoder_options.gradient_checkpointing=true"
            )
        self.budget //= 2
        message = f"memory ran out at step {step + 1}: going on with {self.budget} tokens a batch"
        journal.event("memory", message, step=step + 1, batch_tokens=self.budget)


def seed_step(seed: int, step: int, process: int) -> None:
    """Seed every source of randomness from the step alone, so that a resumed run draws the same numbers."""
    mixed = stable_seed("step", seed, step, process)
    random.seed(mixed)
    np.random.seed(mixed % 2**32)
    torch.manual_seed(mixed)


def _is_memory(error: Exception) -> bool:
    """Accelerators have an error of their own; on the processor it is a message of torch's allocator."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "DefaultCPUAllocator" in str(error)
