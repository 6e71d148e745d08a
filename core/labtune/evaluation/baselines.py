"""The trivial model that a trained one must beat."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from labtune.catalog import resolve
from labtune.data.labels import label_names
from labtune.specs import Labels, Prediction, Record, Task

Baseline = Callable[[Sequence[Record]], list[Prediction]]
Fit = Callable[[Sequence[Record], Labels], Baseline]


def fit_baseline(task: Task, records: Sequence[Record], labels: Labels) -> Baseline:
    """Fit the task's own baseline, or :func:`majority_or_mean` where it has none."""
    return fitter(task)(records, labels)


def fitter(task: Task) -> Fit:
    """How a task's baseline is fitted."""
    fit: Fit = resolve(task.baseline) if task.baseline else majority_or_mean
    return fit


def baseline_name(task: Task, labels: Labels) -> str:
    """Say in a few words what the baseline is: the first sentence of the task's own, or the answer of the core's."""
    if task.baseline:
        sentence = (inspect.getdoc(resolve(task.baseline)) or task.baseline).split("\n\n")[0]
        return " ".join(sentence.split()).rstrip(".")
    return {
        "classes": "Always the most frequent class",
        "multilabel": "Always the labels that at least half of the records have",
        "values": "Always the mean",
        "spans": "Never a span",
    }[labels.kind]


def majority_or_mean(records: Sequence[Record], labels: Labels) -> Baseline:
    """Learn one answer from training records and give it for every record or unit.

    The answer is the most frequent class; the labels that at least half of the records have; the mean of the numbers;
    no span.

    Parameters
    ----------
    records
        Training records with targets.
    labels
        With their names.

    Returns
    -------
    callable
        From records, whose targets are looked at only for the number of units, to predictions.
    """
    return {"classes": _majority, "multilabel": _frequent, "values": _mean, "spans": _nothing}[labels.kind](
        records, labels
    )


def _majority(records: Sequence[Record], labels: Labels) -> Baseline:
    shares = _frequencies(records, labels)
    shares /= shares.sum()
    best = int(shares.argmax())
    confidence = float(shares[best])

    def predict(record: Record) -> Prediction:
        if not isinstance(record.target, (list, tuple)):
            return Prediction(record.id, labels.names[best], confidence, shares)
        units = len(record.target)
        return Prediction(record.id, [labels.names[best]] * units, [confidence] * units, np.tile(shares, (units, 1)))

    return lambda asked: [predict(record) for record in asked]


def _frequent(records: Sequence[Record], labels: Labels) -> Baseline:
    shares = _frequencies(records, labels) / len(records)
    chosen = [index for index, share in enumerate(shares) if share >= 0.5]
    value = [labels.names[index] for index in chosen]
    return lambda asked: [Prediction(record.id, value, shares[chosen].tolist(), shares) for record in asked]


def _mean(records: Sequence[Record], labels: Labels) -> Baseline:
    outputs = max(1, len(labels.names))
    rows = [np.asarray(record.target, dtype=float).reshape(-1, outputs) for record in records]
    means = np.nanmean(np.concatenate(rows), axis=0)  # (K,)

    def value(target: Any) -> Any:
        if not isinstance(target, (list, tuple)):
            return float(means[0])
        return np.tile(means, len(target) // outputs).tolist()

    return lambda asked: [Prediction(record.id, value(record.target)) for record in asked]


def _nothing(records: Sequence[Record], labels: Labels) -> Baseline:
    return lambda asked: [Prediction(record.id, []) for record in asked]


def _frequencies(records: Sequence[Record], labels: Labels) -> np.ndarray:
    counts = Counter(name for record in records for name in label_names(record))
    return np.array([counts[name] for name in labels.names], dtype=float)
