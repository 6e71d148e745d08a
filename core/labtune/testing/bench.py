"""What the checks of a task work on, made on first use: examples, parts, tokens, outputs, predictions.

Each thing is answered for by one check. Where that check fails, the others that need the thing are skipped, so that one
defect is told once.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from unittest import SkipTest

import torch
from torch import Tensor

from labtune.catalog import Catalog, resolve
from labtune.data.labels import resolve_labels
from labtune.inference import predict
from labtune.parts import Parts, build_parts, fit_parts
from labtune.predictions import prediction_json
from labtune.protocols import Batch, Loss, Output
from labtune.ragged import offsets_of
from labtune.settings import Settings, resolve_settings
from labtune.specs import Prediction, Record, Task

ENCODER = "tiny"


@contextmanager
def needs(check: str) -> Iterator[None]:
    """Skip the check at work when what it needs cannot be made; pytest and ``labtune check`` know this exception."""
    try:
        yield
    except SkipTest:
        raise
    except Exception as error:  # a plugin may raise anything, and another check has told it
        raise SkipTest(f"not judged: it needs what check {check!r} found wrong") from error


class TaskBench:
    """A task in one of its presets, with its examples, on a tiny encoder unless it brings a network of its own.

    Parameters
    ----------
    task, catalog
        The task, and what is installed.
    preset
        Which preset's parts are built; the first by default.
    """

    def __init__(self, task: Task, catalog: Catalog, preset: str = "") -> None:
        self.task = task
        self.catalog = catalog
        self.preset = preset

    @cached_property
    def settings(self) -> Settings:
        """The preset's settings, without dropout in the encoder."""
        with needs("presets"):
            settings = resolve_settings(self.catalog, self.task.name, {"preset": self.preset or None, "dropout": 0.0})
        plugins_own = "." in settings.encoder and settings.encoder in self.catalog.components["encoders"]
        return settings if plugins_own else replace(settings, encoder=ENCODER, method="full", bits=32)

    @cached_property
    def records(self) -> list[Record]:
        """The examples that have a target, and ids of their own."""
        with needs("examples"):
            labelled = [record for record in resolve(self.task.examples)() if record.target is not None]
        return list({record.id: record for record in labelled}.values())

    def make(self) -> Parts:
        """Build fresh parts, always with the same weights; whatever goes wrong is raised."""
        return build_parts(self.settings, self.catalog, resolve_labels(self.task.labels, self.records), self.records)

    def build(self) -> Parts:
        """Build fresh parts."""
        with needs("builds"):
            return self.make()

    def fitted(self) -> Parts:
        """Build fresh parts that have seen the examples."""
        parts, batch = self.build(), self.batch
        with needs("builds"):
            fit_parts(parts, batch)
        return parts

    @cached_property
    def parts(self) -> Parts:
        """Parts for checks that change nothing: fitted, without dropout."""
        parts = self.fitted()
        parts.model.eval()
        return parts

    @cached_property
    def batch(self) -> Batch:
        """All examples, tokenised."""
        parts = self.build()
        with needs("tokenizer"):
            batch = parts.tokenizer(self.records)
            check_shape(batch, self.records)
        return batch

    @cached_property
    def output(self) -> Output:
        """What the head makes of all examples."""
        return self.forward(self.batch)

    def forward(self, batch: Batch) -> Output:
        """Run the model; its logits lie alongside the targets."""
        parts = self.parts
        with needs("head"), torch.no_grad():
            output: Output = parts.model(batch)
            check_alongside(output, batch)
        return output

    @cached_property
    def predictions(self) -> list[Prediction]:
        """Predictions for all examples."""
        assert self.output  # whether the head runs is another check's
        model = self.parts.model
        with needs("predictions"):
            found = predict(model, self.batch, batch_tokens=self.settings.batch_tokens)
            json.dumps([prediction_json(prediction) for prediction in found])
        return found


def scalar_loss(loss: Loss, output: Output, batch: Batch) -> Tensor:
    """Compute a loss and check that it is one finite number."""
    value = loss(output, batch)
    assert value.dim() == 0, f"the loss has shape {tuple(value.shape)}, not that of one number"
    assert math.isfinite(float(value.detach())), f"the loss of the examples is {float(value.detach())}"
    return value


def check_shape(batch: Batch, records: Sequence[Record]) -> None:
    """Check that records, inputs, units and targets belong together."""
    assert len(batch) == len(batch.tokens) == len(records), "the batch does not hold one entry for each record"
    for name, ragged in batch.inputs.items():
        assert ragged.bounds == batch.tokens.bounds, f"input {name!r} has other lengths than the first input"
    if batch.units is not None:
        rows = batch.tokens.lengths[batch.units.segment_ids]
        inside = (batch.units.values >= batch.prefix) & (batch.units.values < rows - batch.suffix)
        assert bool(inside.all()), "a unit stands on a special token or outside its record"
    assert batch.targets is not None, "labelled examples give no targets"
    expected = batch.units.bounds if batch.units is not None else list(range(len(batch) + 1))
    if batch.units is not None and batch.targets.bounds != expected:
        expected = offsets_of(batch.units.lengths * (batch.units.lengths - 1) // 2).tolist()
    assert batch.targets.bounds == expected, "targets do not lie alongside the units, the pairs of units or the records"


def check_alongside(output: Output, batch: Batch) -> None:
    """Check that the logits lie alongside the targets."""
    assert batch.targets is not None
    assert output.logits.bounds == batch.targets.bounds, "the logits do not lie alongside the targets"
