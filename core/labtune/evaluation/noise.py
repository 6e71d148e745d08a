"""Labels that are probably wrong, by confident learning on cross-validated predictions of a simple model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from labtune.data.audit import EXAMPLES, Finding
from labtune.data.splitting import fold_of
from labtune.errors import SettingsError
from labtune.evaluation.baselines import Fit
from labtune.specs import Labels, Record

FOLDS = 5


def label_noise(records: Sequence[Record], labels: Labels, fit: Fit, *, seed: int = 0) -> list[Finding]:
    """Find labels that a model trained on the other records is confident to contradict.

    Parameters
    ----------
    records
        With one class each.
    labels
        With their names.
    fit
        A baseline whose predictions have probabilities.
    seed
        Of the folds.

    Returns
    -------
    list of Finding
        At most one; its ids begin with the least likely labels.

    Raises
    ------
    SettingsError
        If the labels are not one class a record, or the baseline gives no probabilities.
    """
    single = labels.kind == "classes" and all(isinstance(record.target, str) for record in records)
    probabilities = cross_validated(records, labels, fit, seed=seed) if single else None
    if probabilities is None:
        raise SettingsError(
            "wrong labels can be looked for where each record has one class and the task's baseline gives probabilities"
        )
    given = np.array([labels.names.index(record.target) for record in records])
    rows = suspects(probabilities, given)
    if not rows.size:
        return []
    share = len(rows) / len(records)
    return [
        Finding(
            "label_noise",
            "warning" if share > 0.01 else "note",
            len(rows),
            f"labels that a simple model contradicts with confidence: {len(rows):,} ({share:.1%})",
            "Read these records, the first ones first; correct labels that are wrong.",
            tuple(records[row].id for row in rows[:EXAMPLES].tolist()),
        )
    ]


def cross_validated(
    records: Sequence[Record], labels: Labels, fit: Fit, *, folds: int = FOLDS, seed: int = 0
) -> NDArray[np.float64] | None:
    """Probabilities ``(R, L)`` of records from models that did not see them; None where a model gives none."""
    part = np.array(fold_of(records, folds, seed))
    found = np.zeros((len(records), len(labels.names)))
    for fold in range(folds):
        asked = np.flatnonzero(part == fold).tolist()
        known = [records[row] for row in np.flatnonzero(part != fold).tolist()]
        predictions = fit(known, labels)([records[row] for row in asked])
        if any(prediction.probabilities is None for prediction in predictions):
            return None
        found[asked] = [prediction.probabilities for prediction in predictions]
    return found


def suspects(probabilities: NDArray[np.float64], given: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows off the diagonal of the confident joint (Northcutt et al. 2021, doi:10.1613/jair.1.12125), worst first.

    A class is confident for a record when its probability is at least the average that records labelled so have. A row
    is suspect when the likeliest confident class is not its label.

    Parameters
    ----------
    probabilities
        ``(R, L)``, from models that did not see the record.
    given
        Index of each label, ``(R,)``.
    """
    counts = np.bincount(given, minlength=probabilities.shape[1])
    own = probabilities[np.arange(len(given)), given]
    thresholds = np.where(counts > 0, np.bincount(given, own, minlength=len(counts)) / np.maximum(counts, 1), np.inf)
    confident = np.where(probabilities >= thresholds, probabilities, -1.0)
    likeliest = confident.argmax(-1)
    rows = np.flatnonzero((confident.max(-1) >= 0) & (likeliest != given))
    margin = own[rows] - probabilities[rows, likeliest[rows]]
    return rows[np.argsort(margin, kind="stable")]
