"""The training loop, top to bottom.

An epoch is a shuffled list of steps, a step is a number of records, and each process cuts its share of a step into
batches that fit in memory. The loss of a step is the average over all its real targets, however they were cut.
"""

from __future__ import annotations

import math
import time
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from labtune.data.batching import epoch_steps
from labtune.device import give_back_memory
from labtune.encoder.compiling import compile_blocks
from labtune.encoder.rows import row_gradients
from labtune.errors import TrainingError
from labtune.inference import predict
from labtune.model import Model
from labtune.processes import anyone, from_first
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
from labtune.training.optimisation import build_optimizer, rate_factor, set_rates
from labtune.training.sharding import fill, is_sharded, prepare, put_together, whole
from labtune.training.steps import StepRunner
from labtune.training.trackers import open_tracker
from labtune.training.training import Training

BEST = "best"


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
        If the loss stops being finite, or memory runs out for good.
    Interrupted
        If the user asked to stop; the folder can be resumed.
    """
    settings = training.settings
    model = training.model if is_sharded(training.model) else training.model.to(accelerator.device)
    model.train()  # it was read in evaluation mode
    if settings.compile:
        compile_blocks(model.encoder, accelerator.device)
    optimizer = build_optimizer(model.trainable(), settings, training.rates)
    progress = (resume and _restore(training, optimizer)) or Progress(batch_tokens=settings.batch_tokens)
    steps_an_epoch = math.ceil(len(training.train) / settings.batch_size)
    total = steps_an_epoch * settings.epochs
    factor = rate_factor(settings, total)
    log = training.log if accelerator.is_main_process else None
    tracker = open_tracker(settings.tracker, training.log.parent, progress.step) if log else None
    journal = Journal(log, total=total, start=progress.step, epochs=progress.epochs_done, tracker=tracker)
    wrapped, prepared = prepare(accelerator, model, optimizer)
    step_of = StepRunner(training, accelerator, wrapped, prepared, progress.batch_tokens)

    def checkpoint() -> None:
        writer = accelerator.is_main_process
        save_checkpoint(training.checkpoints, weights_of(model), optimizer, progress, writer=writer)
        accelerator.wait_for_everyone()

    alone = accelerator.num_processes == 1 and accelerator.device.type == "cpu"
    with StopRequest(training.checkpoints.parent) as stop, row_gradients(model, when=alone):
        for epoch in range(progress.epochs_done, settings.epochs):
            if progress.stopped_early:
                break
            plan = epoch_steps(len(training.train), settings.batch_size, seed=settings.seed, epoch=epoch)
            for rows in plan[progress.step - epoch * steps_an_epoch :]:
                began = time.perf_counter()
                rate = set_rates(optimizer, factor(progress.step), epoch)
                loss, tokens = step_of(rows, progress.step, journal)
                progress.add(loss, tokens, time.perf_counter() - began, step_of.budget)
                journal.step(progress.step, loss=loss, learning_rate=rate, tokens=tokens)
                stopping = anyone(stop.requested)
                if stopping or (settings.checkpoint_every and progress.step % settings.checkpoint_every == 0):
                    checkpoint()
                if stopping:
                    raise stop.interruption()
            _finish_epoch(training, accelerator, wrapped, progress, journal)
            checkpoint()
            if anyone(stop.requested):
                raise stop.interruption()
    journal.close()
    _restore_best(training)
    return progress


def _finish_epoch(
    training: Training, accelerator: Accelerator, model: Any, progress: Progress, journal: Journal
) -> None:
    """Score the epoch on validation data, and keep its weights when they are the best so far.

    Of equally good epochs the last is kept: easy validation data are soon all right, by weights that hardly learned.
    Patience counts from the first of them.
    """
    scores = _validate(training, accelerator, model, progress.batch_tokens)
    monitor = training.metric.monitor
    score = _oriented(scores, monitor) if scores else float(progress.epochs_done)
    better = progress.best_score is None or score > progress.best_score
    progress.epochs_done += 1
    train_loss = progress.loss_sum / max(progress.loss_steps, 1)
    progress.loss_sum, progress.loss_steps = 0.0, 0
    progress.epochs_without_gain = 0 if better else progress.epochs_without_gain + 1
    if better or score == progress.best_score:
        progress.best_score, progress.best_epoch = score, progress.epochs_done
        weights = weights_of(training.model)
        if accelerator.is_main_process:
            write_folder(training.checkpoints / BEST, {"weights.safetensors": weights}, {})
    journal.epoch(progress.epochs_done, step=progress.step, train_loss=train_loss, valid=scores)
    patience = training.settings.patience
    if patience and progress.epochs_without_gain >= patience:
        progress.stopped_early = True
        message = f"stopped after epoch {progress.epochs_done}: no gain in {monitor} for {patience} epochs"
        journal.event("early_stop", message, step=progress.step, epoch=progress.epochs_done)
    if training.watch:
        training.watch(progress.epochs_done, score)


def _validate(training: Training, accelerator: Accelerator, model: Any, budget: int) -> dict[str, float]:
    valid = training.valid
    if valid is None:
        return {}
    with put_together(training.model):
        predictions = predict(model, valid, batch_tokens=budget, device=accelerator.device)
    return from_first(lambda: training.metric(predictions, valid.records))


def _oriented(scores: dict[str, float], monitor: str) -> float:
    """The monitored score, with larger better; an undefined one is the worst."""
    value = -scores[monitor[1:]] if monitor.startswith("-") else scores[monitor]
    return value if math.isfinite(value) else -math.inf


def weights_of(model: Model) -> dict[str, Tensor]:
    """What training changes: parameters that learn, buffers of the head, and those of a network that started empty.

    Tensors are whole; where processes share them out, every process must call it.
    """
    fresh = ("head.",) if model.encoder.origin is None else ("head.", "encoder.")
    kept = model.state_dict()
    buffers = {name: kept[name] for name, _ in model.named_buffers() if name.startswith(fresh) and name in kept}
    return {**{name: whole(parameter.data) for name, parameter in model.trainable().items()}, **buffers}


def set_weights(model: Model, weights: dict[str, Tensor]) -> None:
    """Put back what :func:`weights_of` took."""
    current = {**model.state_dict(), **model.trainable()}
    for name, tensor in weights.items():
        fill(current[name].data, tensor)


def _restore(training: Training, optimizer: torch.optim.Optimizer) -> Progress | None:
    found = load_checkpoint(training.checkpoints)
    if found is None:
        return None
    weights, arrays, scalars, progress = found
    set_weights(training.model, weights)
    restore_optimizer(optimizer, arrays, scalars)
    return progress


def _restore_best(training: Training) -> None:
    give_back_memory()  # of the last step: what is read takes memory of its own
    content = read_folder(training.checkpoints / BEST)
    if content is None:
        raise TrainingError(f"{training.checkpoints / BEST} is damaged; train again")
    set_weights(training.model, content[0]["weights.safetensors"])
