"""Bootstrap confidence intervals of scores on a test set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from labtune.protocols import AdditiveMetric, Metric
from labtune.specs import Prediction, Record

Array = NDArray[np.float64]
Scores = dict[str, Array]  # one value a resample

_BLOCK = 1 << 22  # weights in memory at a time


class Interval(NamedTuple):
    """A score with the two ends of its confidence interval; NaN where undefined."""

    value: float
    low: float
    high: float


def bootstrap(
    metric: Metric,
    predictions: Sequence[Prediction],
    references: Sequence[Record],
    *,
    groups: Sequence[str | None] | None = None,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Score predictions, with percentile bootstrap intervals.

    The percentile interval (Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 13) keeps within the
    range of the score and needs no second round for each record, as BCa does. It says how the score would vary over
    test sets like this one; not over trainings. A perfect score resamples to itself: its interval has no width.

    Parameters
    ----------
    metric
        An :class:`labtune.protocols.AdditiveMetric` is resampled by weights on its sums; any other score is computed
        again for each resample.
    predictions, references
        R of each, in the same order.
    groups
        Records of one group are drawn together, because they vary together; None is a group of its own. By default the
        records' own groups.
    resamples, seed
        How many draws, and their generator's seed.
    level
        Share of resamples within the interval.

    Returns
    -------
    dict
        Interval of each score. The ends are NaN with fewer than two groups, or when half of the resamples have no
        score.
    """
    values = metric(predictions, references)
    units = _units([record.group for record in references] if groups is None else groups)
    samples: dict[str, Array] = {}
    if len(references) and units.max() > 0:
        if isinstance(metric, AdditiveMetric):
            samples |= _weighted(metric, metric.parts(predictions, references), units, resamples, seed)
        if not values.keys() <= samples.keys():
            samples = _recomputed(metric, predictions, references, units, resamples, seed) | samples
    return {name: Interval(value, *_ends(samples.get(name), level)) for name, value in values.items()}


def _units(groups: Sequence[str | None]) -> NDArray[np.int64]:
    """Give each record the number of its group: ``(R,)``."""
    numbers: dict[object, int] = {}
    names = [("row", row) if group is None else group for row, group in enumerate(groups)]
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int64)


def _draws(count: int, resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """How often each of ``count`` units is drawn: blocks ``(resamples in the block, count)``."""
    generator = np.random.default_rng(seed)
    block = max(1, _BLOCK // count)
    for start in range(0, resamples, block):
        drawn = [generator.integers(count, size=count) for _ in range(min(block, resamples - start))]
        yield np.stack([np.bincount(units, minlength=count) for units in drawn])


def _weighted(metric: AdditiveMetric, parts: Array, units: NDArray[np.int64], resamples: int, seed: int) -> Scores:
    """Scores of the resampled sums of ``parts (R, K)``."""
    totals = np.zeros((units.max() + 1, parts.shape[1]))  # (units, K)
    np.add.at(totals, units, parts)
    found = [metric.scores(weights @ totals) for weights in _draws(len(totals), resamples, seed)]
    return {name: np.concatenate([scores[name] for scores in found]) for name in found[0]}


def _recomputed(
    metric: Metric,
    predictions: Sequence[Prediction],
    references: Sequence[Record],
    units: NDArray[np.int64],
    resamples: int,
    seed: int,
) -> Scores:
    """Scores of the resampled records."""
    found: list[dict[str, float]] = []
    for weights in _draws(int(units.max()) + 1, resamples, seed):
        for counts in weights[:, units]:
            rows = np.repeat(np.arange(len(units)), counts).tolist()
            found.append(metric([predictions[row] for row in rows], [references[row] for row in rows]))
    return {name: np.array([scores[name] for scores in found]) for name in found[0]}


def _ends(sample: Array | None, level: float) -> tuple[float, float]:
    if sample is None or np.isnan(sample).mean() >= 0.5:
        return float("nan"), float("nan")
    low, high = np.nanquantile(sample, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
