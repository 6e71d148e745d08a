"""Metrics for classes, label sets and numbers.

A score that is a function of sums over records is computed from the sums (``parts`` and ``scores``, see
:class:`labtune.protocols.AdditiveMetric`), so that a bootstrap interval is one matrix product. A score of orders takes
weights (``weighted``, see :class:`labtune.protocols.WeightedMetric`). All scores equal those of scikit-learn and SciPy;
where a score has no meaning (no record, one class, no variance) it is NaN.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labtune.builtin.ranking import Weights, average_precision, spearman
from labtune.errors import DataError, SettingsError, nearest
from labtune.protocols import WeightedMetric
from labtune.specs import Labels, Prediction, Record

Array = NDArray[np.float64]
Pair = tuple[int, int, int]  # record, true class, predicted class


class _Counted(ABC):
    """Scores from three counts of each class, side by side in ``parts (R, 3 L)``: true, predicted, and both.

    Parameters
    ----------
    labels
        With their names.
    monitor
        The score that selects checkpoints.
    """

    names: tuple[str, ...]  # of the scores

    def __init__(self, labels: Labels, *, monitor: str = "macro_f1") -> None:
        self.monitor = _monitor(monitor, self.names)
        self.labels = labels
        self.ids = {name: index for index, name in enumerate(labels.names)}

    def __call__(self, predictions: Sequence[Prediction], references: Sequence[Record]) -> dict[str, float]:
        """All scores; of an empty sequence, NaN."""
        return _at_once(self, predictions, references)

    @abstractmethod
    def parts(self, predictions: Sequence[Prediction], references: Sequence[Record]) -> Array:
        """Count for each record: ``(R, 3 L)``."""

    @abstractmethod
    def scores(self, totals: Array) -> dict[str, Array]:
        """Compute the scores ``(...)`` of summed counts ``(..., 3 L)``."""

    def _id(self, name: Any, record: Record) -> int:
        if name not in self.ids:
            raise DataError(f"{record.source}: record {record.id!r} has label {name!r}. {nearest(str(name), self.ids)}")
        return self.ids[name]


class Classification(_Counted):
    """One class a record: accuracy, balanced accuracy, macro F1 and Matthews' correlation.

    Macro F1 averages over the classes that are true or predicted somewhere, balanced accuracy over those that are true.
    Matthews' correlation of several classes is Gorodkin's R_K (2004, doi:10.1016/j.compbiolchem.2004.09.006), zero when
    every prediction is the same.
    """

    names = ("accuracy", "balanced_accuracy", "macro_f1", "mcc")

    def parts(self, predictions: Sequence[Prediction], references: Sequence[Record]) -> Array:
        """Count for each record: ``(R, 3 L)``."""
        pairs = np.array(list(self._pairs(predictions, references)), dtype=np.int64).reshape(-1, 3)
        record, true, predicted = pairs.T
        width = len(self.ids)
        start = record * 3 * width
        cells = [start + true, start + width + predicted, (start + 2 * width + true)[true == predicted]]
        counts = np.bincount(np.concatenate(cells), minlength=len(references) * 3 * width)
        return counts.reshape(len(references), 3 * width).astype(float)

    def scores(self, totals: Array) -> dict[str, Array]:
        """Compute the scores ``(...)`` of summed counts ``(..., 3 L)``."""
        true, predicted, both = _counts(totals)
        units, hits = true.sum(-1), both.sum(-1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return {
                "accuracy": hits / units,
                "balanced_accuracy": _mean_where(both / true, true > 0),
                "macro_f1": _macro_f1(true, predicted, both),
                "mcc": _matthews(true, predicted, hits, units),
            }

    def _pairs(self, predictions: Sequence[Prediction], references: Sequence[Record]) -> Iterator[Pair]:
        for row, (prediction, record) in enumerate(zip(predictions, references, strict=True)):
            yield row, self._id(record.target, record), self._id(prediction.value, record)


class TokenClassification(Classification):
    """One class a unit: the scores of :class:`Classification` over all units whose truth is not None."""

    def _pairs(self, predictions: Sequence[Prediction], references: Sequence[Record]) -> Iterator[Pair]:
        for row, (prediction, record) in enumerate(zip(predictions, references, strict=True)):
            _check_length(record, record.target, prediction.value)
            for predicted, true in zip(prediction.value, record.target, strict=True):
                if true is not None:
                    yield row, self._id(true, record), self._id(predicted, record)


class MultiLabel(_Counted):
    """Any subset of labels a record: micro and macro F1 and, with probabilities, macro average precision.

    Macro scores average over the labels that occur: in truth or prediction for F1, in truth for average precision.
    """

    names = ("micro_f1", "macro_f1", "macro_average_precision")

    def parts(self, predictions: Sequence[Prediction], references: Sequence[Record]) -> Array:
        """Count for each record: ``(R, 3 L)``."""
        true = self._sets([record.target for record in references], references)
        predicted = self._sets([prediction.value for prediction in predictions], references)
        return np.concatenate([true, predicted, true * predicted], axis=1)

    def scores(self, totals: Array) -> dict[str, Array]:
        """Compute the scores ``(...)`` of summed counts ``(..., 3 L)``."""
        true, predicted, both = _counts(totals)
        with np.errstate(invalid="ignore", divide="ignore"):
            return {
                "micro_f1": 2 * both.sum(-1) / (true.sum(-1) + predicted.sum(-1)),
                "macro_f1": _macro_f1(true, predicted, both),
            }

    def weighted(
        self, predictions: Sequence[Prediction], references: Sequence[Record], weights: Weights
    ) -> dict[str, Array]:
        """Compute average precision under each weighting of the records ``(W, R)``, if all have probabilities."""
        if not references or any(prediction.probabilities is None for prediction in predictions):
            return {}
        true = self._sets([record.target for record in references], references)
        likely = np.array([prediction.probabilities for prediction in predictions], dtype=float)
        each = [average_precision(*columns, weights) for columns in zip(true.T, likely.T, strict=True)]
        values = np.stack(each, axis=-1)  # (W, L)
        with np.errstate(invalid="ignore", divide="ignore"):
            return {"macro_average_precision": _mean_where(values, ~np.isnan(values))}

    def _sets(self, chosen: Sequence[Sequence[str]], records: Sequence[Record]) -> Array:
        sets = np.zeros((len(chosen), len(self.ids)))
        for row, (names, record) in enumerate(zip(chosen, records, strict=True)):
            sets[row, [self._id(name, record) for name in names]] = 1
        return sets


class Regression:
    """Numbers, one or K a record or one a unit: Pearson and Spearman correlation, R2, RMSE and mean absolute error.

    Truth that is NaN does not count. Several outputs are scored on their own and averaged.

    Parameters
    ----------
    labels
        One name for each of the K outputs; with a single name, a list holds the numbers of a record's units.
    monitor
        The score that selects checkpoints; an error has a minus in front, as ``-rmse``.
    """

    names = ("pearson", "spearman", "r2", "rmse", "mae")

    def __init__(self, labels: Labels, *, monitor: str = "spearman") -> None:
        self.monitor = _monitor(monitor, self.names)
        self.outputs = max(1, len(labels.names))

    def __call__(self, predictions: Sequence[Prediction], references: Sequence[Record]) -> dict[str, float]:
        """All scores; of an empty sequence, NaN."""
        return _at_once(self, predictions, references)

    def parts(self, predictions: Sequence[Prediction], references: Sequence[Record]) -> Array:
        """Sum up each record, ``(R, 8 K)``: count, t, p, t², p², t p, (t - p)², |t - p| of truth t and prediction p.

        Both are shifted by the mean truth, which changes no score and keeps the digits of numbers far from zero.
        """
        rows, true, predicted = self._numbers(predictions, references)
        known = ~np.isnan(true)
        centre = np.divide(true.sum(0, where=known), known.sum(0), out=np.zeros(self.outputs), where=known.any(0))
        t, p = (np.where(known, values - centre, 0.0) for values in (true, predicted))
        sums = np.zeros((len(references), 8, self.outputs))
        np.add.at(sums, rows, np.stack([known, t, p, t * t, p * p, t * p, (t - p) ** 2, abs(t - p)], axis=1))
        return sums.reshape(len(references), 8 * self.outputs)

    def scores(self, totals: Array) -> dict[str, Array]:
        """Compute the scores ``(...)`` of the sums ``(..., 8 K)``."""
        n, t, p, tt, pp, tp, dd, d = np.moveaxis(totals.reshape(*totals.shape[:-1], 8, self.outputs), -2, 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            spread = _spread(tt, t, n)
            each = {
                "pearson": (tp - t * p / n) / np.sqrt(spread * _spread(pp, p, n)),
                "r2": 1 - dd / spread,
                "rmse": np.sqrt(dd / n),
                "mae": d / n,
            }
        return {name: values.mean(-1) for name, values in each.items()}

    def weighted(
        self, predictions: Sequence[Prediction], references: Sequence[Record], weights: Weights
    ) -> dict[str, Array]:
        """Compute the rank correlation under each weighting of the records ``(W, R)``."""
        rows, true, predicted = self._numbers(predictions, references)
        each = []
        for t, p in zip(true.T, predicted.T, strict=True):
            known = ~np.isnan(t)
            if not known.any():
                return {"spearman": np.full(len(weights), np.nan)}
            each.append(spearman(t[known], p[known], weights[:, rows[known]]))
        return {"spearman": np.mean(each, axis=0)}

    def _numbers(
        self, predictions: Sequence[Prediction], references: Sequence[Record]
    ) -> tuple[NDArray[np.int64], Array, Array]:
        """Record of each row ``(N,)``, truth ``(N, K)`` and prediction ``(N, K)``; a row is a record or a unit."""
        true = [_listed(record.target) for record in references]
        predicted = [_listed(prediction.value) for prediction in predictions]
        for record, left, right in zip(references, true, predicted, strict=True):
            _check_length(record, left, right)
        sizes = np.array([len(numbers) for numbers in true], dtype=np.int64) // self.outputs
        flat = [np.array(list(chain.from_iterable(numbers)), dtype=float) for numbers in (true, predicted)]
        return (
            np.repeat(np.arange(len(true)), sizes),
            flat[0].reshape(-1, self.outputs),
            flat[1].reshape(-1, self.outputs),
        )


def _at_once(metric: Any, predictions: Sequence[Prediction], references: Sequence[Record]) -> dict[str, float]:
    """All scores of the records as they are."""
    found = metric.scores(metric.parts(predictions, references).sum(axis=0))
    if isinstance(metric, WeightedMetric):
        once = np.ones((1, len(references)))
        found |= {name: values[0] for name, values in metric.weighted(predictions, references, once).items()}
    return {name: float(value) for name, value in found.items()}


def _listed(value: Any) -> Sequence[float]:
    return value if isinstance(value, (list, tuple)) else [value]


def _monitor(monitor: str, names: Sequence[str]) -> str:
    if monitor.removeprefix("-") not in names:
        raise SettingsError(f"metric option monitor={monitor!r} is no score of this metric. {nearest(monitor, names)}")
    return monitor


def _check_length(record: Record, true: Sequence[Any], predicted: Sequence[Any]) -> None:
    if len(true) != len(predicted):
        raise DataError(
            f"{record.source}: record {record.id!r} has {len(true)} labels and {len(predicted)} predictions"
        )


def _counts(totals: Array) -> tuple[Array, Array, Array]:
    true, predicted, both = np.split(totals, 3, axis=-1)
    return true, predicted, both


def _mean_where(values: Array, where: NDArray[np.bool_]) -> Array:
    """Average over the last axis where it counts; NaN where nothing does."""
    mean: Array = np.where(where, values, 0).sum(-1) / where.sum(-1)
    return mean


def _macro_f1(true: Array, predicted: Array, both: Array) -> Array:
    size = true + predicted
    return _mean_where(2 * both / size, size > 0)


def _matthews(true: Array, predicted: Array, hits: Array, units: Array) -> Array:
    covariance = hits * units - (true * predicted).sum(-1)
    true_spread = units**2 - (true**2).sum(-1)
    spread = units**2 - (predicted**2).sum(-1)
    value = np.where(spread == 0, 0.0, covariance / np.sqrt(true_spread * spread))
    return np.where(true_spread == 0, np.nan, value)


def _spread(squares: Array, total: Array, count: Array) -> Array:
    """Sum of squared deviations from the mean; NaN where rounding is all there is."""
    spread = squares - total**2 / count
    return np.where(spread > 1e-12 * squares, spread, np.nan)
