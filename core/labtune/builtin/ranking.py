"""Scores of orders, for many weightings of the same records at once.

A weight says how often a record counts, so every score here is that of the records written out that often.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Weights = NDArray[np.float64] | NDArray[np.int64]


def spearman(true: Array, predicted: Array, weights: Weights) -> Array:
    """Rank correlation of two sequences ``(N,)`` under each of W weightings ``(W, N)``: ``(W,)``.

    Equal values share the middle of their ranks. NaN where one of the sequences has a single value.
    """
    x, y = _ranks(true, weights), _ranks(predicted, weights)
    with np.errstate(invalid="ignore", divide="ignore"):
        count = weights.sum(axis=1, keepdims=True)
        x -= (weights * x).sum(axis=1, keepdims=True) / count
        y -= (weights * y).sum(axis=1, keepdims=True) / count
        xx, yy = _dot(weights, x, x), _dot(weights, y, y)
        # The smallest sum of squares is 1 / 2, of two ranks; what is below is rounding.
        correlation: Array = np.where(np.minimum(xx, yy) > 0.25, _dot(weights, x, y) / np.sqrt(xx * yy), np.nan)
    return correlation


def average_precision(true: Array, likely: Array, weights: Weights) -> Array:
    """Average precision of ``likely (N,)`` for the ones in ``true (N,)`` under each weighting ``(W, N)``: ``(W,)``.

    The sum over thresholds of precision times the gain in recall, as scikit-learn defines it. NaN where no one counts.
    """
    order, starts = _runs(-likely)
    found = np.add.reduceat((weights * true)[:, order], starts, axis=1)  # at each threshold
    taken = np.add.reduceat(weights[:, order], starts, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(taken > 0, found.cumsum(axis=1) / taken.cumsum(axis=1), 0)
        average: Array = (precision * found).sum(axis=1) / found.sum(axis=1)
    return average


def _ranks(values: Array, weights: Weights) -> Array:
    """Middle rank of each value under each weighting: ``(W, N)``."""
    order, starts = _runs(values)
    drawn = np.add.reduceat(weights[:, order], starts, axis=1)  # of each distinct value
    middle = drawn.cumsum(axis=1) - (drawn - 1) / 2
    ranks = np.empty(weights.shape)
    ranks[:, order] = np.repeat(middle, np.diff(starts, append=len(values)), axis=1)
    return ranks


def _runs(values: Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sort: the order ``(N,)``, and where in it each distinct value starts."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    return order, np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))


def _dot(weights: Weights, left: Array, right: Array) -> Array:
    product: Array = np.einsum("wn,wn,wn->w", weights, left, right)
    return product
