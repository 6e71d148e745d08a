"""What every number stands beside: linear models on counted k-mers, and on normalised counts of cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

from labtune.specs import Labels, Prediction, Record
from labtune_expression.alphabet import BASES, encode
from labtune_expression.tokenizers import kmer_ids, where

KMERS = (3, 4, 5, 6)
STRENGTHS = tuple(10.0 ** np.arange(0, 4.5, 0.5))  # of the ridge penalty
HELD_OUT = 10  # every tenth training record chooses the penalty

Baseline = Callable[[Sequence[Record]], list[Prediction]]


def fit_kmer_model(records: Sequence[Record], labels: Labels) -> Baseline:
    """Fit counts of 3-mers to 6-mers: ridge regression for numbers, logistic regression for classes.

    Every tenth training record chooses the ridge penalty; then all are fitted.
    """
    return _fit_classes(records, labels) if labels.kind == "classes" else _fit_numbers(records, labels)


def _fit_numbers(records: Sequence[Record], labels: Labels) -> Baseline:
    counts = count_kmers(records)
    outputs = [_fit_ridge(counts, column) for column in _targets(records, labels).T]

    def predict(asked: Sequence[Record]) -> list[Prediction]:
        values = np.stack([ridge.predict(count_kmers(asked)) for ridge in outputs], axis=1).tolist()  # (B, L)
        return [
            Prediction(record.id, row[0] if len(row) == 1 else row) for record, row in zip(asked, values, strict=True)
        ]

    return predict


def _fit_ridge(counts: csr_matrix, targets: NDArray[np.float64]) -> Ridge:
    known = ~np.isnan(targets)
    counts, targets = counts[known], targets[known]
    held = np.arange(len(targets)) % HELD_OUT == 0
    if held.all() or len(targets) < 2 * HELD_OUT:
        return Ridge(alpha=STRENGTHS[-1], solver="lsqr").fit(counts, targets)

    def error(strength: float) -> float:
        ridge = Ridge(alpha=strength, solver="lsqr").fit(counts[~held], targets[~held])
        return float(((ridge.predict(counts[held]) - targets[held]) ** 2).mean())

    return Ridge(alpha=min(STRENGTHS, key=error), solver="lsqr").fit(counts, targets)


def _fit_classes(records: Sequence[Record], labels: Labels) -> Baseline:
    model = make_pipeline(MaxAbsScaler(), LogisticRegression(max_iter=1000))
    model.fit(count_kmers(records), [record.target for record in records])
    return lambda asked: class_predictions(model, count_kmers(asked), asked, labels)


def class_predictions(model: Any, features: Any, asked: Sequence[Record], labels: Labels) -> list[Prediction]:
    """Predictions of a fitted scikit-learn classifier, probabilities in the order of the labels."""
    columns = [labels.names.index(name) for name in model.classes_]
    probabilities = np.zeros((len(asked), len(labels.names)))
    probabilities[:, columns] = model.predict_proba(features)
    best = probabilities.argmax(1)
    return [
        Prediction(record.id, labels.names[top], float(row[top]), row)
        for record, top, row in zip(asked, best, probabilities, strict=True)
    ]


def _targets(records: Sequence[Record], labels: Labels) -> NDArray[np.float64]:
    """Numbers ``(B, L)``, NaN where there is none."""
    return np.array([np.reshape(record.target, len(labels.names)) for record in records], dtype=float)


def count_kmers(records: Sequence[Record]) -> csr_matrix:
    """Counts ``(B, 4^3 + … + 4^6)`` of the k-mers without an ambiguous letter."""
    return hstack([_count(records, k) for k in KMERS], format="csr")


def _count(records: Sequence[Record], k: int) -> csr_matrix:
    rows = [kmer_ids(encode(record.input, where(record)), k) for record in records]
    columns = np.concatenate(rows)
    places = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    real = columns < len(BASES) ** k
    shape = (len(records), len(BASES) ** k)
    return csr_matrix((np.ones(int(real.sum())), (places[real], columns[real])), shape=shape)
