"""Baselines without pre-training: linear models of letters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from labtune.specs import Labels, Prediction, Record
from labtune_protein.alphabet import STANDARD

Baseline = Callable[[Sequence[Record]], list[Prediction]]

REACH = 7  # residues on either side of the one to predict
SAMPLED = 200_000  # residues to learn from
SHRINKAGE = 1.0  # penalty of the ridge regression
_EMPTY = len(STANDARD)  # beyond the ends, and rare letters
LETTERS = _EMPTY + 1


def fit_window(records: Sequence[Record], labels: Labels) -> Baseline:
    """Learn each residue's class from the letters of 15 around it: logistic regression on one-hot letters.

    Parameters
    ----------
    records
        Training records with a class a residue; about 200,000 residues are used, always the same.
    labels
        With their names.
    """
    index = {name: number for number, name in enumerate(labels.names)}
    chosen, features = _sampled_windows(records)
    truth = np.array([index.get(name, -1) for record in chosen for name in record.target])
    rows = np.flatnonzero(truth >= 0)
    if len(np.unique(truth[rows])) == 1:
        return _always(labels, int(truth[rows[0]]))
    model = SGDClassifier(loss="log_loss", alpha=1e-5, average=True, max_iter=10, tol=None, random_state=0)
    model.fit(features[rows], truth[rows])

    def predict(record: Record) -> Prediction:
        known = model.predict_proba(_windows(record.input))  # (U, classes seen)
        probabilities = np.zeros((len(known), len(labels.names)))
        probabilities[:, model.classes_] = known
        return _classes(record, labels, probabilities)

    return lambda asked: [predict(record) for record in asked]


def fit_window_ridge(records: Sequence[Record], labels: Labels) -> Baseline:
    """Learn each residue's number from the letters of 15 around it: ridge regression on one-hot letters.

    Parameters
    ----------
    records
        Training records with a number a residue; about 200,000 residues are used, always the same.
    labels
        Not used.
    """
    chosen, features = _sampled_windows(records)
    targets = np.concatenate([np.array(record.target, dtype=float) for record in chosen])  # None becomes NaN
    rows = np.flatnonzero(~np.isnan(targets))
    model = Ridge(alpha=SHRINKAGE, solver="lsqr").fit(features[rows], targets[rows])
    return lambda asked: [Prediction(record.id, model.predict(_windows(record.input)).tolist()) for record in asked]


def fit_ridge(records: Sequence[Record], labels: Labels) -> Baseline:
    """Learn numbers by ridge regression: from one-hot letters when all sequences are equally long, else dipeptides.

    Parameters
    ----------
    records
        Training records with a number, or a list of numbers.
    labels
        With their names.
    """
    describe = _describer(records)
    features = describe(records)
    targets = np.array([record.target for record in records], dtype=float).reshape(len(records), -1)
    known = ~np.isnan(targets).any(1)
    ridge = Ridge(alpha=SHRINKAGE, solver="lsqr")
    model = make_pipeline(StandardScaler(), ridge) if describe is _dipeptides else ridge
    model.fit(features[known], targets[known])

    def predict(asked: Sequence[Record]) -> list[Prediction]:
        values = model.predict(describe(asked)).reshape(len(asked), -1)
        rows = values[:, 0].tolist() if len(labels.names) == 1 else values.tolist()
        return [Prediction(record.id, value) for record, value in zip(asked, rows, strict=True)]

    return predict


def fit_dipeptides(records: Sequence[Record], labels: Labels) -> Baseline:
    """Learn one class a sequence by logistic regression on the frequencies of letters and of pairs of letters.

    Parameters
    ----------
    records
        Training records with a class.
    labels
        With their names.
    """
    index = {name: number for number, name in enumerate(labels.names)}
    truth = np.array([index[record.target] for record in records])
    if len(np.unique(truth)) == 1:
        return _always(labels, int(truth[0]))
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
    model.fit(_dipeptides(records), truth)

    def predict(asked: Sequence[Record]) -> list[Prediction]:
        known = model.predict_proba(_dipeptides(asked))
        probabilities = np.zeros((len(asked), len(labels.names)))
        probabilities[:, model.classes_] = known
        best = probabilities.argmax(1)
        return [
            Prediction(record.id, labels.names[number], float(row[number]), row)
            for record, number, row in zip(asked, best, probabilities, strict=True)
        ]

    return predict


def fit_dipeptide_sets(records: Sequence[Record], labels: Labels) -> Baseline:
    """Learn which labels a sequence has: for each one a logistic regression as in :func:`fit_dipeptides`.

    Parameters
    ----------
    records
        Training records with any number of labels.
    labels
        With their names.
    """
    truth = np.array([[name in record.target for name in labels.names] for record in records])  # (R, L)
    scale = StandardScaler()
    features = scale.fit_transform(_dipeptides(records))
    models = {  # not OneVsRestClassifier, which answers otherwise where there is one label only
        number: LogisticRegression(C=0.01, max_iter=500).fit(features, column)
        for number, column in enumerate(truth.T)
        if len(np.unique(column)) == 2
    }

    def predict(asked: Sequence[Record]) -> list[Prediction]:
        described = scale.transform(_dipeptides(asked))
        chances = np.tile(truth.mean(0), (len(asked), 1))  # of labels that all have, or none
        for number, model in models.items():
            chances[:, number] = model.predict_proba(described)[:, 1]
        return [_set(record, labels, row) for record, row in zip(asked, chances, strict=True)]

    return predict


def _set(record: Record, labels: Labels, chances: np.ndarray) -> Prediction:
    chosen = np.flatnonzero(chances >= 0.5)
    return Prediction(record.id, [labels.names[number] for number in chosen], chances[chosen].tolist(), chances)


def _sampled_windows(records: Sequence[Record]) -> tuple[list[Record], Any]:
    """Draw records until they hold enough residues; with the windows around these, ``(U, 15 * 21)`` sparse."""
    order = np.random.default_rng(0).permutation(len(records))
    before = np.cumsum([0, *(len(records[row].input) for row in order[:-1])])
    chosen = [records[row] for row in order[before < SAMPLED]]
    return chosen, sparse.vstack([_windows(record.input) for record in chosen]).tocsr()


def _classes(record: Record, labels: Labels, probabilities: np.ndarray) -> Prediction:
    best = probabilities.argmax(1)
    names = [labels.names[number] for number in best]
    return Prediction(record.id, names, probabilities[np.arange(len(best)), best].tolist(), probabilities)


def _always(labels: Labels, number: int) -> Baseline:
    """One class, when training data has no other."""
    row = np.eye(len(labels.names))[number]

    def predict(record: Record) -> Prediction:
        if isinstance(record.target, list):
            return _classes(record, labels, np.tile(row, (len(record.input), 1)))
        return Prediction(record.id, labels.names[number], 1.0, row)

    return lambda asked: [predict(record) for record in asked]


def letter_numbers(sequence: str) -> np.ndarray:
    """Index of each letter, ``(U,)``; rare ones share the last."""
    table = np.full(128, _EMPTY)
    table[[ord(letter) for letter in STANDARD]] = np.arange(len(STANDARD))
    return table[np.frombuffer(sequence.encode(), dtype=np.uint8)]


def _windows(sequence: str) -> Any:
    """One-hot letters of the window around each residue, ``(U, 15 * 21)`` sparse."""
    width = 2 * REACH + 1
    padded = np.pad(letter_numbers(sequence), REACH, constant_values=_EMPTY)
    letters = np.lib.stride_tricks.sliding_window_view(padded, width)  # (U, 15)
    columns = (letters + np.arange(width) * LETTERS).ravel()
    bounds = np.arange(len(letters) + 1) * width
    return sparse.csr_matrix((np.ones(len(columns)), columns, bounds), shape=(len(letters), width * LETTERS))


def _describer(records: Sequence[Record]) -> Callable[[Sequence[Record]], Any]:
    lengths = {len(record.input) for record in records}
    return partial(_one_hot, width=lengths.pop()) if len(lengths) == 1 else _dipeptides


def _one_hot(records: Sequence[Record], width: int) -> Any:
    """One-hot letters of every position, ``(R, U * 21)`` sparse; a sequence of another length is cut or left open."""
    letters = np.full((len(records), width), _EMPTY)
    for row, record in enumerate(records):
        known = letter_numbers(record.input)[:width]
        letters[row, : len(known)] = known
    columns = (letters + np.arange(width) * LETTERS).ravel()
    bounds = np.arange(len(records) + 1) * width
    return sparse.csr_matrix((np.ones(len(columns)), columns, bounds), shape=(len(records), width * LETTERS))


def _dipeptides(records: Sequence[Record]) -> np.ndarray:
    """Shares of letters, of pairs of neighbours, and the logarithm of the length: ``(R, 21 + 441 + 1)``."""
    rows = []
    for record in records:
        letters = letter_numbers(record.input)
        singles = np.bincount(letters, minlength=LETTERS) / len(letters)
        pairs = np.bincount(letters[:-1] * LETTERS + letters[1:], minlength=LETTERS**2) / max(len(letters) - 1, 1)
        rows.append(np.concatenate([singles, pairs, [np.log(len(letters))]]))
    return np.array(rows)
