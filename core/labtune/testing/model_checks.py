"""Checks of what learns: head and loss, built, run, trained and saved."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import torch

from labtune.inference import predict
from labtune.model import load_head, save_head
from labtune.parts import fit_parts
from labtune.predictions import prediction_json
from labtune.protocols import IGNORED, Batch, Output
from labtune.ragged import concatenate
from labtune.testing.bench import TaskBench, check_alongside, needs, scalar_loss

SOLVED = 1e-3  # a loss that leaves nothing to learn
STEPS = 20


def check_builds(bench: TaskBench) -> None:
    """Every part can be built from the preset's options, and sees the examples."""
    fit_parts(bench.make(), bench.batch)


def check_head(bench: TaskBench) -> None:
    """Logits lie alongside the targets, and every parameter of the head gets a gradient."""
    parts = bench.fitted()
    parts.model.eval()
    output = parts.model(bench.batch)
    check_alongside(output, bench.batch)
    wave = torch.sin(torch.arange(output.logits.values.numel(), dtype=torch.float32)).view_as(output.logits.values)
    # The loss may reach the head through the extras, as that of a CRF does; the wave reaches what any loss would.
    total = (output.logits.values * wave).sum() + sum(extra.float().sum() for extra in output.extras.values())
    total.backward()
    for name, parameter in parts.model.head.named_parameters():
        reached = parameter.grad is not None and bool(parameter.grad.abs().sum() > 0)
        assert reached, f"the head's parameter {name!r} gets no gradient"


def check_head_alone(bench: TaskBench) -> None:
    """A record's logits do not depend on the other records of its batch."""
    for row, record in enumerate(bench.records):
        alone = bench.forward(bench.batch.select([row])).logits.values
        close = torch.allclose(alone, bench.output.logits[row], rtol=1e-3, atol=1e-4)
        assert close, f"record {record.id!r}: its logits depend on the other records of its batch"


@torch.no_grad()
def check_loss(bench: TaskBench) -> None:
    """The loss is a finite number: an average over ``count()``, so that parts of a batch add up to the whole."""
    loss = bench.parts.loss
    halves = [bench.batch.select(rows) for rows in (range(3), range(3, len(bench.records)))]
    outputs = [bench.forward(half) for half in halves]
    whole = Output(concatenate(output.logits for output in outputs), outputs[0].extras)
    value = scalar_loss(loss, whole, bench.batch)
    counts = [loss.count(half) for half in halves]
    assert sum(counts) == loss.count(bench.batch), "count() of two halves is not count() of the whole"
    parts = sum(float(loss(output, half)) * count for output, half, count in zip(outputs, halves, counts, strict=True))
    assert math.isclose(parts / sum(counts), float(value), rel_tol=1e-3, abs_tol=1e-4), (
        "the loss is not the average over count(): two halves do not add up to the whole"
    )


def check_loss_missing(bench: TaskBench) -> None:
    """Where every truth is missing, loss and gradient are zero."""
    batch, loss, output = _without_truth(bench.batch), bench.parts.loss, bench.output
    with needs("loss"):
        scalar_loss(loss, output, bench.batch)
    assert loss.count(batch) == 0, f"count() of missing targets is {loss.count(batch)}"
    logits = output.logits.values.clone().requires_grad_()
    value = loss(Output(output.logits.with_values(logits), output.extras), batch)
    (gradient,) = torch.autograd.grad(value, logits, allow_unused=True) if value.requires_grad else (None,)
    assert float(value.detach()) == 0, f"the loss of missing targets is {float(value.detach())}"
    assert gradient is None or not bool(gradient.any()), "missing targets give a gradient"


def check_learns(bench: TaskBench) -> None:
    """Twenty steps on the examples lower the loss, unless a head solved them in closed form."""
    assert bench.output
    parts = bench.fitted()
    parts.model.eval()  # dropout would blur the comparison
    optimizer = torch.optim.AdamW(parts.model.trainable().values(), lr=3e-3)
    losses = []
    for _ in range(STEPS):
        output = parts.model(bench.batch)
        with needs("loss"):
            loss = scalar_loss(parts.loss, output, bench.batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    solved = losses[0] < SOLVED
    assert solved or losses[-1] < losses[0], f"the loss goes from {losses[0]:.4g} to {losses[-1]:.4g} in {STEPS} steps"


def check_state(bench: TaskBench) -> None:
    """The head's saved state gives the same predictions in a fresh head, which has seen no data."""
    assert bench.predictions
    trained, fresh = bench.fitted(), bench.build()
    with torch.no_grad():
        for parameter in trained.model.head.parameters():
            parameter.add_(torch.linspace(-1, 1, parameter.numel()).view_as(parameter))
    with tempfile.TemporaryDirectory() as folder:
        save_head(trained.model.head, Path(folder))
        load_head(fresh.model.head, Path(folder))
    fresh.model.encoder.load_state_dict(trained.model.encoder.state_dict())  # what an encoder learns is saved with it
    first, second = (predict(parts.model, bench.batch, batch_tokens=4096) for parts in (trained, fresh))
    same = [prediction_json(p) for p in first] == [prediction_json(p) for p in second]
    assert same, "a head with the saved state predicts otherwise: something it learns is not in its state"


MODEL_CHECKS: Mapping[str, Callable[[TaskBench], None]] = {
    "builds": check_builds,
    "head": check_head,
    "head_alone": check_head_alone,
    "loss": check_loss,
    "loss_missing": check_loss_missing,
    "learns": check_learns,
    "state": check_state,
}


def _without_truth(batch: Batch) -> Batch:
    assert batch.targets is not None
    values = batch.targets.values
    missing = torch.full_like(values, float("nan") if values.is_floating_point() else IGNORED)
    return replace(batch, targets=batch.targets.with_values(missing))
