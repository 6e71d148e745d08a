"""Contacts without an encoder: how far apart two residues are along the chain, and which letters they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from Bio.SeqUtils.ProtParamData import kd

from labtune.specs import Labels, Prediction, Record
from labtune_protein.baselines import LETTERS, Baseline, letter_numbers
from labtune_protein.pairs.ranking import decode_pairs
from labtune_protein.pairs.tokenizing import unresolved

FURTHEST = 64  # separations from which all count alike


def fit_separation(records: Sequence[Record], labels: Labels) -> Baseline:
    """Rank pairs by how near they are along the chain, which needs no data.

    Parameters
    ----------
    records
        Not looked at.
    labels
        Distance bins, of which the first is contact.
    """
    return lambda asked: [_ranked(record, labels, lambda rows, columns: 1 / (1 + columns - rows)) for record in asked]


def fit_hydropathy(records: Sequence[Record], labels: Labels) -> Baseline:
    """Rank pairs by how hydrophobic both residues and their neighbours are, which needs no data.

    Parameters
    ----------
    records
        Not looked at.
    labels
        Distance bins, of which the first is contact.
    """

    def predict(record: Record) -> Prediction:
        scale = np.array([kd.get(letter, 0.0) for letter in record.input])
        smooth = np.convolve(scale, [0.25, 0.5, 0.25], "same")
        return _ranked(record, labels, lambda rows, columns: 1 / (1 + np.exp(-smooth[rows] - smooth[columns])))

    return lambda asked: [predict(record) for record in asked]


def _ranked(record: Record, labels: Labels, score: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Prediction:
    size = len(record.input)
    return decode_pairs(record.id, size, score(*np.triu_indices(size, 1)), labels.names[0])


def fit_frequencies(records: Sequence[Record], labels: Labels) -> Baseline:
    """Learn how often pairs at each separation, and pairs of letters, are in contact; the odds are multiplied.

    Parameters
    ----------
    records
        Training records with contacts.
    labels
        Distance bins, of which the first is contact.
    """
    seen = [np.full(FURTHEST + 1, 100.0), np.full(LETTERS**2, 100.0)]  # as if some pairs had been seen before
    near = [np.full(FURTHEST + 1, 1.0), np.full(LETTERS**2, 1.0)]
    for record in records:
        known, contact = _truth(record, labels.names[0])
        for feature, all_, some in zip(_features(record), seen, near, strict=True):
            all_ += np.bincount(feature[known], minlength=len(all_))
            some += np.bincount(feature[known & contact], minlength=len(some))
    by_separation, by_letters = (_log_odds(some, all_) for some, all_ in zip(near, seen, strict=True))
    overall = _log_odds(near[1].sum(), seen[1].sum())

    def predict(record: Record) -> Prediction:
        separation, letters = _features(record)
        odds = by_separation[separation] + by_letters[letters] - overall
        return decode_pairs(record.id, len(record.input), 1 / (1 + np.exp(-odds)), labels.names[0])

    return lambda asked: [predict(record) for record in asked]


def _features(record: Record) -> tuple[np.ndarray, np.ndarray]:
    """Separation and pair of letters of all pairs i < j, as numbers: two ``(P,)``."""
    rows, columns = np.triu_indices(len(record.input), 1)
    letters = letter_numbers(record.input)
    low, high = np.minimum(letters[rows], letters[columns]), np.maximum(letters[rows], letters[columns])
    return np.minimum(columns - rows, FURTHEST), low * LETTERS + high


def _truth(record: Record, contact: str) -> tuple[np.ndarray, np.ndarray]:
    """Whether each pair is known, and whether it is a contact: two ``(P,)`` bool."""
    size = len(record.input)
    rows, columns = np.triu_indices(size, 1)
    hidden = unresolved(record)
    near = np.zeros((size, size), dtype=bool)
    for first, second, name in record.target:
        near[first, second] = name == contact
    return ~(hidden[rows] | hidden[columns]), near[rows, columns]


def _log_odds(some: np.ndarray, all_: np.ndarray) -> np.ndarray:
    odds: np.ndarray = np.log(some) - np.log(all_ - some)
    return odds
