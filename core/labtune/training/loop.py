"""The training loop, top to bottom.

An epoch is a shuffled list of steps, a step is a number of records, and each process cuts its share of a step into
batches that fit in memory. The loss of a step is the average over all its real targets, however they were cut.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from labtune.data.batching import epoch_steps, shares, stable_seed, token_batches
from labtune.encoder.methods.rates import Course
from labtune.errors import TrainingError
from labtune.inference import predict
from labtune.model import Model
from labtune.protocols import Batch, Loss, Metric
from labtune.settings import Settings
from labtune.training.checkpoints import (
    Progress,
    load_checkpoint,
    read_folder,
    restore_optimizer,
    save_checkpoint,
    write_folder,
)
from labtune.training.interrupts import StopRequest
from labtune.training.journal import Journal
from labtune.training.optimisation import build_optimizer, drop_idle_gradients, rate_factor, set_rates

BEST = "best"


@dataclass(frozen=True)
class Training:
    """What a training needs: parts that are built, data that is tokenised.

    ``rates`` says how fast each parameter learns; ``valid`` may be None, then the last epoch counts as the best.
    """

    model: Model
    loss: Loss
    metric: Metric
    train: Batch
    valid: Batch | None
    settings: Settings
    rates: Mapping[str, Course]
    checkpoints: Path
    log: Path


def fit(training: Training, accelerator: Accelerator, *, resume: bool = False) -> Progress:
    """Train, score every epoch on validation data, and leave the best weights in the model.

    Parameters
    ----------
    training
        Parts, data and settings.
    accelerator
        Device, processes and precision.
    resume
        Go on from the latest checkpoint, if there is one.

    Raises
    ------
    TrainingError
        If the loss stops being finite.
    Interrupted
        If the user asked to stop; the folder can be resumed.
    """
    settings, model = training.settings, training.model.to(accelerator.device)
    optimizer = build_optimizer(model.trainable(), settings, training.rates)
    progress = (resume and _restore(training, optimizer)) or Progress()
    steps_an_epoch = math.ceil(len(training.train) / settings.batch_size)
    total = steps_an_epoch * settings.epochs
    factor = rate_factor(settings, total)
    journal = Journal(training.log if accelerator.is_main_process else None, total=total, start=progress.step)
    wrapped, prepared = accelerator.prepare(model, optimizer)
    step_of = _StepRunner(training, accelerator, wrapped, prepared)

    def checkpoint() -> None:
        if accelerator.is_main_process:
            save_checkpoint(training.checkpoints, weights_of(model), optimizer, progress)
        accelerator.wait_for_everyone()

    with StopRequest(training.checkpoints.parent) as stop:
        for epoch in range(progress.epochs_done, settings.epochs):
            if progress.stopped_early:
                break
            plan = epoch_steps(len(training.train), settings.batch_size, seed=settings.seed, epoch=epoch)
            for rows in plan[progress.step - epoch * steps_an_epoch :]:
                began = time.perf_counter()
                rate = set_rates(optimizer, factor(progress.step), epoch)
                loss, tokens = step_of(rows, progress.step)
                progress.step += 1
                progress.tokens += tokens
                progress.loss_sum += loss
                progress.loss_steps += 1
                progress.seconds += time.perf_counter() - began
                journal.step(progress.step, loss=loss, learning_rate=rate, tokens=tokens)
                if stop.requested or (settings.checkpoint_every and progress.step % settings.checkpoint_every == 0):
                    checkpoint()
                stop.obey()
            _finish_epoch(training, accelerator, wrapped, progress, journal)
            checkpoint()
            stop.obey()
    journal.close()
    _restore_best(training)
    return progress


class _StepRunner:
    """One optimiser step: its share of the records, forward, backward, clip, update."""

    def __init__(self, training: Training, accelerator: Accelerator, model: Any, optimizer: Any) -> None:
        self.training = training
        self.accelerator = accelerator
        self.model = model
        self.optimizer = optimizer
        self.lengths = training.train.tokens.lengths.numpy()
        self.parameters = list(training.model.trainable().values())

    def __call__(self, rows: np.ndarray, step: int) -> tuple[float, int]:
        """Return the step's loss and tokens over all processes."""
        settings, accelerator = self.training.settings, self.accelerator
        seed_step(settings.seed, step, accelerator.process_index)
        dealt = shares(rows, self.lengths, accelerator.num_processes)
        cuts = [token_batches(share, self.lengths, settings.batch_tokens) for share in dealt]
        targets = self.training.loss.count(self.training.train.select([int(row) for row in rows]))
        total = torch.zeros((), device=accelerator.device)
        rounds = max(map(len, cuts))
        for index, batch, counts in self._batches(cuts[accelerator.process_index], rounds):
            last = index == rounds - 1
            with nullcontext() if last else accelerator.no_sync(self.model):
                loss = self._loss(batch, targets) * counts
                # Data-parallel training averages gradients over processes; the step's loss is a sum over them.
                accelerator.backward(loss * accelerator.num_processes)
            total += loss.detach()
        value = float(cast("Tensor", accelerator.reduce(total, "sum")))
        if not math.isfinite(value):
            raise TrainingError(
                f"the loss is {value} at step {step + 1}; try a smaller learning rate, or --set precision=float32"
            )
        drop_idle_gradients(self.optimizer)
        if settings.clip:
            accelerator.clip_grad_norm_(self.parameters, settings.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return value, int(self.lengths[rows].sum())

    def _batches(self, cuts: list[list[int]], rounds: int) -> Iterator[tuple[int, Batch, float]]:
        """This process's batches; where others have more, a record that counts nothing keeps it in step."""
        for index in range(rounds):
            rows, counts = (cuts[index], 1.0) if index < len(cuts) else ([0], 0.0)
            yield index, self.training.train.select(rows).to(self.accelerator.device), counts

    def _loss(self, batch: Batch, targets: int) -> Tensor:
        output = self.model(batch)
        return self.training.loss(output, batch) * (self.training.loss.count(batch) / max(targets, 1))


def _finish_epoch(
    training: Training, accelerator: Accelerator, model: Any, progress: Progress, journal: Journal
) -> None:
    """Score the epoch on validation data, and keep its weights when they are the best so far."""
    scores = _validate(training, accelerator, model)
    monitor = training.metric.monitor
    score = _oriented(scores, monitor) if scores else float(progress.epochs_done)
    better = progress.best_score is None or score > progress.best_score
    progress.epochs_done += 1
    train_loss = progress.loss_sum / max(progress.loss_steps, 1)
    progress.loss_sum, progress.loss_steps = 0.0, 0
    progress.epochs_without_gain = 0 if better else progress.epochs_without_gain + 1
    if better:
        progress.best_score, progress.best_epoch = score, progress.epochs_done
        if accelerator.is_main_process:
            write_folder(training.checkpoints / BEST, {"weights.safetensors": weights_of(training.model)}, {})
    journal.epoch(progress.epochs_done, step=progress.step, train_loss=train_loss, valid=scores)
    patience = training.settings.patience
    if patience and progress.epochs_without_gain >= patience:
        progress.stopped_early = True
        journal.event(
            "early_stop", f"stopped after epoch {progress.epochs_done}: no gain in {monitor} for {patience} epochs"
        )


def _validate(training: Training, accelerator: Accelerator, model: Any) -> dict[str, float]:
    if training.valid is None:
        return {}
    budget = training.settings.batch_tokens
    predictions = predict(model, training.valid, batch_tokens=budget, device=accelerator.device)
    return training.metric(predictions, training.valid.records)


def _oriented(scores: dict[str, float], monitor: str) -> float:
    """The monitored score, with larger better; an undefined one is the worst."""
    value = -scores[monitor[1:]] if monitor.startswith("-") else scores[monitor]
    return value if math.isfinite(value) else -math.inf


def weights_of(model: Model) -> dict[str, Tensor]:
    """What training changes: parameters that learn, and buffers of the head."""
    buffers = {f"head.{name}": buffer for name, buffer in model.head.named_buffers()}
    return {**{name: parameter.data for name, parameter in model.trainable().items()}, **buffers}


def set_weights(model: Model, weights: dict[str, Tensor]) -> None:
    """Put back what :func:`weights_of` took."""
    current = weights_of(model)
    for name, tensor in weights.items():
        current[name].copy_(tensor)


def seed_step(seed: int, step: int, process: int) -> None:
    """Seed every source of randomness from the step alone, so that a resumed run draws the same numbers."""
    mixed = stable_seed("step", seed, step, process)
    random.seed(mixed)
    np.random.seed(mixed % 2**32)
    torch.manual_seed(mixed)


def _restore(training: Training, optimizer: torch.optim.Optimizer) -> Progress | None:
    found = load_checkpoint(training.checkpoints)
    if found is None:
        return None
    weights, arrays, scalars, progress = found
    set_weights(training.model, weights)
    restore_optimizer(optimizer, arrays, scalars)
    return progress


def _restore_best(training: Training) -> None:
    content = read_folder(training.checkpoints / BEST)
    if content is None:
        raise TrainingError(f"{training.checkpoints / BEST} is damaged; train again")
    set_weights(training.model, content[0]["weights.safetensors"])
