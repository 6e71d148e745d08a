"""Checks of a task: its examples through tokenizer, head, loss and metrics, with a tiny encoder."""

from __future__ import annotations

import copy
import json
import math
import random
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any
from unittest import mock

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from labtune.catalog import Catalog, resolve
from labtune.data.labels import resolve_labels
from labtune.inference import predict
from labtune.parts import Parts, build_parts, fit_parts
from labtune.predictions import prediction_json
from labtune.protocols import IGNORED, AdditiveMetric, Batch, Output
from labtune.ragged import Ragged
from labtune.settings import Settings, resolve_settings
from labtune.specs import Prediction, Record, Task

ENOUGH = 8  # examples
STEPS = 20
SURE = 30.0  # a logit whose probability is one


class TaskBench:
    """A task with its examples and freshly built parts, made on first use."""

    def __init__(self, task: Task, catalog: Catalog) -> None:
        self.task = task
        self.catalog = catalog

    @cached_property
    def records(self) -> list[Record]:
        """The examples."""
        examples: list[Record] = resolve(self.task.examples)()
        return examples

    @cached_property
    def settings(self) -> Settings:
        """The first preset, on a tiny encoder unless the task brings its own; nothing is dropped."""
        settings = resolve_settings(self.catalog, self.task.name, {"dropout": 0.0}, [])
        return settings if "." in settings.encoder else replace(settings, encoder="tiny")

    def build(self) -> Parts:
        """Build fresh parts that have seen the examples."""
        labels = resolve_labels(self.task.labels, self.records)
        parts = build_parts(self.settings, self.catalog, labels)
        data = parts.tokenizer(self.records)
        fit_parts(parts, data)
        return parts

    @cached_property
    def parts(self) -> Parts:
        """Shared parts, for checks that change nothing."""
        parts = self.build()
        parts.model.eval()
        return parts

    @cached_property
    def batch(self) -> Batch:
        """All examples, tokenised."""
        return self.parts.tokenizer(self.records)


def check_examples(bench: TaskBench) -> None:
    """At least eight labelled examples with ids of their own, always the same, without a network."""
    with _no_network():
        first, second = resolve(bench.task.examples)(), resolve(bench.task.examples)()
    assert len(first) >= ENOUGH, f"{len(first)} examples; give at least {ENOUGH}"
    assert first == second, "two calls give different examples"
    assert all(record.target is not None for record in first), "an example has no target"
    assert len({record.id for record in first}) == len(first), "two examples share an id"


def check_tokenizer(bench: TaskBench) -> None:
    """Inputs, units and targets belong together, and unlabelled records can be tokenised."""
    batch = bench.batch
    assert len(batch) == len(bench.records), "the batch does not hold one entry for each record"
    for name, ragged in batch.inputs.items():
        assert ragged.bounds == batch.tokens.bounds, f"input {name!r} has other lengths than the first input"
    if batch.units is not None:
        rows = batch.tokens.lengths[batch.units.segment_ids]
        inside = (batch.units.values >= batch.prefix) & (batch.units.values < rows - batch.suffix)
        assert bool(inside.all()), "a unit stands on a special token or outside its record"
    assert batch.targets is not None, "labelled examples give no targets"
    expected = batch.units.bounds if batch.units is not None else list(range(len(batch) + 1))
    assert batch.targets.bounds == expected, "targets do not lie alongside the units or records"
    bare = bench.parts.tokenizer([replace(record, target=None) for record in bench.records])
    assert bare.targets is None, "unlabelled records get targets"
    assert torch.equal(bare.tokens.values, batch.tokens.values), "the tokens depend on the target"


def check_tokenizer_alone(bench: TaskBench) -> None:
    """A record is tokenised the same alone as among others."""
    for row, record in enumerate(bench.records):
        alone, among = bench.parts.tokenizer([record]), bench.batch.select([row])
        for name, ragged in alone.inputs.items():
            same = torch.equal(ragged.values, among.inputs[name].values)
            assert same, f"record {record.id!r}: input {name!r} depends on the other records of its batch"


def check_head(bench: TaskBench) -> None:
    """Logits lie alongside the targets, and every parameter of the head gets a gradient."""
    parts = bench.build()
    output = parts.model(bench.batch)
    assert bench.batch.targets is not None
    assert output.logits.bounds == bench.batch.targets.bounds, "the logits do not lie alongside the targets"
    parts.loss(output, bench.batch).backward()
    for name, parameter in parts.model.head.named_parameters():
        reached = parameter.grad is not None and bool(parameter.grad.abs().sum() > 0)
        assert reached, f"the head's parameter {name!r} gets no gradient"


def check_head_alone(bench: TaskBench) -> None:
    """A record's logits do not depend on the other records of its batch."""
    with torch.no_grad():
        among = bench.parts.model(bench.batch).logits
        for row, record in enumerate(bench.records):
            alone = bench.parts.model(bench.batch.select([row])).logits.values
            close = torch.allclose(alone, among[row], rtol=1e-3, atol=1e-4)
            assert close, f"record {record.id!r}: its logits depend on the other records of its batch"


def check_loss(bench: TaskBench) -> None:
    """The loss is a finite number that adds up over batches, and missing truth costs nothing."""
    loss, model = bench.parts.loss, bench.parts.model
    output = model(bench.batch)
    value = loss(output, bench.batch).detach()
    assert value.dim() == 0, f"the loss has shape {tuple(value.shape)}, not that of one number"
    assert math.isfinite(float(value)), f"the loss of the examples is {float(value)}"
    halves = [bench.batch.select(rows) for rows in (range(3), range(3, len(bench.records)))]
    counts = [loss.count(half) for half in halves]
    assert sum(counts) == loss.count(bench.batch), "count() of two halves is not count() of the whole"
    parts = sum(float(loss(model(half), half)) * count for half, count in zip(halves, counts, strict=True))
    assert math.isclose(parts / sum(counts), float(value), rel_tol=1e-3, abs_tol=1e-4), (
        "the loss is not the average over count(): two halves do not add up to the whole"
    )


def check_loss_missing(bench: TaskBench) -> None:
    """Where every truth is missing, loss and gradient are zero."""
    batch = _without_truth(bench.batch)
    model, loss = bench.parts.model, bench.parts.loss
    assert loss.count(batch) == 0, f"count() of missing targets is {loss.count(batch)}"
    output = model(batch)
    logits = output.logits.values.detach().requires_grad_()
    value = loss(Output(output.logits.with_values(logits), output.extras), batch)
    (gradient,) = torch.autograd.grad(value, logits, allow_unused=True) if value.requires_grad else (None,)
    assert float(value) == 0, f"the loss of missing targets is {float(value)}"
    assert gradient is None or not bool(gradient.any()), "missing targets give a gradient"


def check_metrics(bench: TaskBench) -> None:
    """Perfect predictions get the best score, order does not matter, and no record at all is no error."""
    perfect = [_perfect(record) for record in bench.records]
    order = list(range(len(perfect)))
    random.Random(0).shuffle(order)
    for metric in bench.parts.metrics:
        scores = metric(perfect, bench.records)
        monitor = metric.monitor.removeprefix("-")
        assert monitor in scores, f"the monitored score {monitor!r} is not among {', '.join(scores)}"
        best = 0.0 if metric.monitor.startswith("-") else 1.0
        assert math.isclose(scores[monitor], best, abs_tol=1e-9), f"perfect predictions get {monitor} {scores[monitor]}"
        mixed = metric([perfect[row] for row in order], [bench.records[row] for row in order])
        assert _same(mixed, scores), "the scores depend on the order of the records"
        empty = metric([], [])
        assert set(empty) <= set(scores), "no records at all give other scores"
        assert all(math.isnan(value) for value in empty.values()), "a score of no records is not NaN"


def check_metric_parts(bench: TaskBench) -> None:
    """The summed parts of an additive metric give the scores of the whole."""
    predictions = predict(bench.parts.model, bench.batch, batch_tokens=bench.settings.batch_tokens)
    for metric in bench.parts.metrics:
        if isinstance(metric, AdditiveMetric):
            totals = metric.parts(predictions, bench.records).sum(0)
            scores = {name: float(value) for name, value in metric.scores(totals).items()}
            whole = {name: value for name, value in metric(predictions, bench.records).items() if name in scores}
            assert _same(scores, whole), "parts() and scores() disagree with the metric itself"


def check_decode(bench: TaskBench) -> None:
    """Decoding sure logits of the truth gives the truth back."""
    head: Any = bench.parts.model.head
    with torch.no_grad():
        output = bench.parts.model(bench.batch)
        sure = Output(_sure(bench.batch, output.logits, bench.parts.labels.kind), output.extras)
    for record, prediction in zip(bench.records, head.decode(sure, bench.batch), strict=True):
        assert _same_value(prediction.value, record.target), (
            f"record {record.id!r}: {record.target!r} is decoded as {prediction.value!r}"
        )


def check_predictions(bench: TaskBench) -> None:
    """Predictions come in order, can be written as JSON, and their confidences are probabilities."""
    predictions = predict(bench.parts.model, bench.batch, batch_tokens=bench.settings.batch_tokens)
    assert [p.id for p in predictions] == [r.id for r in bench.records], (
        "predictions are not in the order of the records"
    )
    for prediction in predictions:
        json.dumps(prediction_json(prediction))
        given = prediction.confidence
        confidences = np.atleast_1d(np.asarray(0.0 if given is None else given, dtype=float))
        assert bool(((confidences >= 0) & (confidences <= 1 + 1e-6)).all()), f"confidence {given} is no probability"


def check_learns(bench: TaskBench) -> None:
    """Twenty steps on the examples lower the loss."""
    parts = bench.build()
    optimizer = torch.optim.AdamW([p for p in parts.model.parameters() if p.requires_grad], lr=3e-3)
    losses = []
    for _ in range(STEPS):
        loss = parts.loss(parts.model(bench.batch), bench.batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0], f"the loss goes from {losses[0]:.4g} to {losses[-1]:.4g} in {STEPS} steps"


def check_state(bench: TaskBench) -> None:
    """The head's saved state gives the same predictions in a fresh head."""
    trained, fresh = bench.build(), bench.build()
    with torch.no_grad():
        for parameter in trained.model.head.parameters():
            parameter.add_(torch.linspace(-1, 1, parameter.numel()).view_as(parameter))
    state = copy.deepcopy(trained.model.head.state_dict())
    fresh.model.head.load_state_dict(state)
    first, second = (predict(p.model, bench.batch, batch_tokens=4096) for p in (trained, fresh))
    same = [prediction_json(p) for p in first] == [prediction_json(p) for p in second]
    assert same, "a head with the saved state predicts otherwise: something it learns is not in its state"


TASK_CHECKS: Mapping[str, Callable[[TaskBench], None]] = {
    "examples": check_examples,
    "tokenizer": check_tokenizer,
    "tokenizer_alone": check_tokenizer_alone,
    "head": check_head,
    "head_alone": check_head_alone,
    "loss": check_loss,
    "loss_missing": check_loss_missing,
    "metrics": check_metrics,
    "metric_parts": check_metric_parts,
    "decode": check_decode,
    "predictions": check_predictions,
    "learns": check_learns,
    "state": check_state,
}


@contextmanager
def _no_network() -> Iterator[None]:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the examples open a network connection")

    with mock.patch.object(socket.socket, "connect", refuse):
        yield


def _without_truth(batch: Batch) -> Batch:
    assert batch.targets is not None
    values = batch.targets.values
    missing = torch.full_like(values, float("nan") if values.is_floating_point() else IGNORED)
    return replace(batch, targets=batch.targets.with_values(missing))


def _perfect(record: Record) -> Prediction:
    several = isinstance(record.target, list | tuple)
    return Prediction(record.id, record.target, [1.0] * len(record.target) if several else 1.0)


def _sure(batch: Batch, logits: Ragged, kind: str) -> Ragged:
    """Logits that say the truth beyond doubt; where it is missing, the first label."""
    assert batch.targets is not None
    targets: Tensor = batch.targets.values
    if not targets.is_floating_point():
        return logits.with_values(F.one_hot(targets.clamp(min=0), logits.values.shape[1]).float() * SURE)
    if kind == "multilabel":
        return logits.with_values((targets * 2 - 1) * SURE)
    return logits.with_values(targets.reshape(logits.values.shape))


def _same(first: Mapping[str, float], second: Mapping[str, float]) -> bool:
    return first.keys() == second.keys() and all(
        np.isclose(first[name], second[name], equal_nan=True) for name in first
    )


def _same_value(predicted: Any, target: Any) -> bool:
    """Compare, numbers to float32's precision; missing truth inside a list agrees with anything."""
    if target is None:
        return True
    if isinstance(target, float):
        return math.isnan(target) or math.isclose(predicted, target, rel_tol=1e-5, abs_tol=1e-6)
    if isinstance(target, list | tuple) and not hasattr(target, "_fields"):
        same_length = len(predicted) == len(target)
        return same_length and all(_same_value(*pair) for pair in zip(predicted, target, strict=True))
    return bool(predicted == target)
