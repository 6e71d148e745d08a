"""Bootstrap confidence intervals of scores on a test set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from labtune.protocols import AdditiveMetric, Metric, WeightedMetric
from labtune.specs import Prediction, Record

Array = NDArray[np.float64]
Counts = NDArray[np.int64]
Scores = dict[str, Array]  # one value a resample

_BLOCK = 1 << 20  # weights in memory at a time


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
        An :class:`labtune.protocols.AdditiveMetric` is resampled by weights on its sums, and a
        :class:`labtune.protocols.WeightedMetric` by weights on its records; one metric may have scores of both sorts.
        Any other score is computed again for each resample, which is slow.
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
    drawn = samples(metric, predictions, references, groups=groups, resamples=resamples, seed=seed)
    return {name: Interval(value, *ends(drawn.get(name), level)) for name, value in values.items()}


def samples(
    metric: Metric,
    predictions: Sequence[Prediction],
    references: Sequence[Record],
    *,
    groups: Sequence[str | None] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Scores:
    """Scores of each resample; see :func:`bootstrap`. The same records and seed give the same resamples.

    Returns
    -------
    dict
        ``(resamples,)`` for each score; empty with fewer than two groups.
    """
    units = units_of([record.group for record in references] if groups is None else groups)
    found: Scores = {}
    if len(references) and units.max() > 0:
        draws = partial(_draws, int(units.max()) + 1, resamples, seed)
        if isinstance(metric, AdditiveMetric):
            found |= _summed(metric, metric.parts(predictions, references), units, draws())
        if isinstance(metric, WeightedMetric):
            found |= _joined(metric.weighted(predictions, references, drawn[:, units]) for drawn in draws())
        if not metric(predictions, references).keys() <= found.keys():
            found = _recomputed(metric, predictions, references, units, draws()) | found
    return found


def units_of(groups: Sequence[str | None]) -> Counts:
    """Give each record the number of its group: ``(R,)``."""
    numbers: dict[object, int] = {}
    names = [("row", row) if group is None else group for row, group in enumerate(groups)]
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int64)


def _draws(count: int, resamples: int, seed: int) -> Iterator[Counts]:
    """How often each of ``count`` units is drawn: blocks ``(resamples in the block, count)``."""
    generator = np.random.default_rng(seed)
    block = max(1, _BLOCK // count)
    for start in range(0, resamples, block):
        drawn = [generator.integers(count, size=count) for _ in range(min(block, resamples - start))]
        yield np.stack([np.bincount(units, minlength=count) for units in drawn])


def _summed(metric: AdditiveMetric, parts: Array, units: Counts, draws: Iterator[Counts]) -> Scores:
    """Scores of the resampled sums of ``parts (R, K)``."""
    totals = np.zeros((units.max() + 1, parts.shape[1]))  # (units, K)
    np.add.at(totals, units, parts)
    return _joined(metric.scores(drawn @ totals) for drawn in draws)


def _recomputed(
    metric: Metric,
    predictions: Sequence[Prediction],
    references: Sequence[Record],
    units: Counts,
    draws: Iterator[Counts],
) -> Scores:
    """Scores of the resampled records, written out."""
    found: list[dict[str, Array]] = []
    for counts in (counts for drawn in draws for counts in drawn[:, units]):
        rows = np.repeat(np.arange(len(units)), counts).tolist()
        scores = metric([predictions[row] for row in rows], [references[row] for row in rows])
        found.append({name: np.array([value]) for name, value in scores.items()})
    return _joined(found)


def _joined(blocks: Iterable[Scores]) -> Scores:
    found = list(blocks)
    return {name: np.concatenate([block[name] for block in found]) for name in found[0]}


def ends(sample: Array | None, level: float = 0.95) -> tuple[float, float]:
    """Percentiles that hold ``level`` of a sample; NaN without one, or when half of it has no score."""
    if sample is None or np.isnan(sample).mean() >= 0.5:
        return float("nan"), float("nan")
    low, high = np.nanquantile(sample, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
