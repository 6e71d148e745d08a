"""Checks of what comes out: decoded predictions and their scores."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from labtune.data.labels import label_names
from labtune.predictions import prediction_from_json, prediction_json
from labtune.protocols import AdditiveMetric, Batch, Output
from labtune.ragged import Ragged
from labtune.specs import Labels, Prediction, Record
from labtune.testing.bench import TaskBench

SURE = 30.0  # a logit whose probability is one


def check_metrics(bench: TaskBench) -> None:
    """Perfect predictions get the best score, order does not matter, and scores of no records are NaN."""
    perfect = [_perfect(record, bench.parts.labels) for record in bench.records]
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
    for metric in bench.parts.metrics:
        if isinstance(metric, AdditiveMetric):
            totals = metric.parts(bench.predictions, bench.records).sum(0)
            scores = {name: float(value) for name, value in metric.scores(totals).items()}
            whole = {name: value for name, value in metric(bench.predictions, bench.records).items() if name in scores}
            assert _same(scores, whole), "parts() and scores() disagree with the metric itself"


def check_metric_rereading(bench: TaskBench) -> None:
    """Predictions that were written and read again get the same scores, as far as those need no probabilities."""
    for predictions in (bench.predictions, _decode_truth(bench)):
        lines = [json.dumps(prediction_json(prediction)) for prediction in predictions]
        again = [prediction_from_json(json.loads(line), bench.parts.labels.kind) for line in lines]
        for metric in bench.parts.metrics:
            found, told = metric(again, bench.records), metric(predictions, bench.records)
            lost = {metric.monitor.removeprefix("-")} & told.keys() - found.keys()
            assert not lost, f"the monitored score {lost} cannot be computed from written predictions"
            whole = {name: value for name, value in told.items() if name in found}
            assert _same(found, whole), (
                "written predictions get other scores; put what a metric needs into value, confidence or details"
            )


def check_decode(bench: TaskBench) -> None:
    """Decoding sure logits of the truth gives the truth back."""
    assert bench.predictions
    found = {prediction.id: prediction.value for prediction in _decode_truth(bench)}
    for record in bench.records:
        assert _same_value(found.get(record.id), record.target), (
            f"record {record.id!r}: {record.target!r} is decoded as {found.get(record.id)!r}"
        )


def check_predictions(bench: TaskBench) -> None:
    """Predictions come in order, can be written as JSON, and their confidences are probabilities."""
    head: Any = bench.parts.model.head
    with torch.no_grad():
        predictions = head.decode(bench.output, bench.batch)
    assert [p.id for p in predictions] == [r.id for r in bench.records], (
        "predictions are not in the order of the records"
    )
    for prediction in predictions:
        json.dumps(prediction_json(prediction))
        given = prediction.confidence
        confidences = np.atleast_1d(np.asarray(0.0 if given is None else given, dtype=float))
        assert bool(((confidences >= 0) & (confidences <= 1 + 1e-6)).all()), f"confidence {given} is no probability"


OUTCOME_CHECKS: Mapping[str, Callable[[TaskBench], None]] = {
    "metrics": check_metrics,
    "metric_parts": check_metric_parts,
    "metric_rereading": check_metric_rereading,
    "decode": check_decode,
    "predictions": check_predictions,
}


def _perfect(record: Record, labels: Labels) -> Prediction:
    """The truth as a prediction, with probabilities of one where labels are names."""
    several = isinstance(record.target, list | tuple)
    confidence = [1.0] * len(record.target) if several else 1.0
    if labels.kind in ("values", "spans"):
        return Prediction(record.id, record.target, confidence)
    rows = [[name] for name in record.target] if several and labels.kind == "classes" else [list(label_names(record))]
    chances = np.array([[float(name in row) for name in labels.names] for row in rows])  # (U, L)
    one_row = labels.kind == "multilabel" or not several
    return Prediction(record.id, record.target, confidence, chances[0] if one_row else chances)


def _decode_truth(bench: TaskBench) -> list[Prediction]:
    """What the head decodes from sure logits of the truth."""
    head: Any = bench.parts.model.head
    sure = Output(_sure(bench.batch, bench.output.logits, bench.parts.labels.kind), bench.output.extras)
    with torch.no_grad():
        found: list[Prediction] = list(head.decode(sure, bench.batch))
    return found


def _sure(batch: Batch, logits: Ragged, kind: str) -> Ragged:
    """Logits that say the truth beyond doubt; where it is missing, the first label.

    Behind numbers a head may have further columns, such as how sure it is; they stay.
    """
    assert batch.targets is not None
    targets: Tensor = batch.targets.values
    if not targets.is_floating_point():
        return logits.with_values(F.one_hot(targets.long().clamp(min=0), logits.values.shape[1]).float() * SURE)
    if kind == "multilabel":
        return logits.with_values((targets * 2 - 1) * SURE)
    numbers = targets.reshape(len(logits.values), -1)
    return logits.with_values(torch.cat([numbers, logits.values[:, numbers.shape[1] :]], dim=1))


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
        same_length = predicted is not None and len(predicted) == len(target)
        return same_length and all(_same_value(*pair) for pair in zip(predicted, target, strict=True))
    return bool(predicted == target)
