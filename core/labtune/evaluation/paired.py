"""Two models on the same records: which is better, by how much, how sure, and where they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labtune.evaluation.intervals import ends, samples, units_of
from labtune.protocols import AdditiveMetric, Metric
from labtune.specs import LabelKind, Prediction, Record

PERMUTATIONS = 1000


@dataclass(frozen=True, slots=True)
class Difference:
    """A score of two models.

    Parameters
    ----------
    first, second
        The scores.
    difference, low, high
        Second less first, with its 95 % interval by the paired bootstrap.
    p
        Chance of a difference at least as large, if the models were interchangeable; of the monitored score only.
    """

    first: float
    second: float
    difference: float
    low: float
    high: float
    p: float | None = None


def compare(
    metric: Metric,
    first: Sequence[Prediction],
    second: Sequence[Prediction],
    references: Sequence[Record],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Difference]:
    """Compare every score of a metric.

    Both models are resampled alike, so what makes a record hard for both does not blur the difference; records of one
    group are drawn together.

    Parameters
    ----------
    metric
        Its ``monitor`` gets a permutation test.
    first, second, references
        R of each, in the same order.
    resamples, seed
        Of the bootstrap.
    """
    pairs = [metric(some, references) for some in (first, second)]
    drawn = [samples(metric, some, references, resamples=resamples, seed=seed) for some in (first, second)]
    main = metric.monitor.removeprefix("-")
    found = {}
    for name in pairs[0]:
        known = name in drawn[0] and name in drawn[1]
        low, high = ends(drawn[1][name] - drawn[0][name] if known else None)
        one, other = pairs[0][name], pairs[1][name]
        p = permutation_test(metric, first, second, references, seed=seed) if name == main else None
        found[name] = Difference(one, other, other - one, low, high, p)
    return found


def permutation_test(
    metric: Metric,
    first: Sequence[Prediction],
    second: Sequence[Prediction],
    references: Sequence[Record],
    *,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> float:
    """Two-sided p-value of the difference in the monitored score, by swapping the models' predictions group by group.

    Approximate randomisation (Noreen 1989, Computer-Intensive Methods for Testing Hypotheses). The observed difference
    counts among the permutations, so the smallest value is ``1 / (permutations + 1)``.
    """
    name = metric.monitor.removeprefix("-")
    units = units_of([record.group for record in references])
    generator = np.random.default_rng(seed)
    swaps = generator.random((permutations, int(units.max()) + 1)) < 0.5 if len(units) else np.zeros((0, 0), dtype=bool)
    observed = abs(metric(second, references)[name] - metric(first, references)[name])
    if isinstance(metric, AdditiveMetric) and name in metric.scores(metric.parts(first, references).sum(0)):
        gaps = _summed_gaps(metric, name, first, second, references, swaps[:, units])
    else:
        gaps = _scored_gaps(metric, name, first, second, references, swaps[:, units])
    return float((1 + (np.abs(gaps) >= observed - 1e-12).sum()) / (1 + permutations))


def _summed_gaps(
    metric: AdditiveMetric,
    name: str,
    first: Sequence[Prediction],
    second: Sequence[Prediction],
    references: Sequence[Record],
    swaps: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Differences ``(permutations,)`` from summed parts; swaps ``(permutations, R)``."""
    one, other = (metric.parts(some, references) for some in (first, second))  # (R, K)
    moved = swaps.astype(float) @ (other - one)  # (permutations, K)
    gaps: NDArray[np.float64] = metric.scores(other.sum(0) - moved)[name] - metric.scores(one.sum(0) + moved)[name]
    return gaps


def _scored_gaps(
    metric: Metric,
    name: str,
    first: Sequence[Prediction],
    second: Sequence[Prediction],
    references: Sequence[Record],
    swaps: NDArray[np.bool_],
) -> NDArray[np.float64]:
    gaps = []
    for row in swaps:
        pairs = [(b, a) if swap else (a, b) for a, b, swap in zip(first, second, row, strict=True)]
        gaps.append(metric([b for _, b in pairs], references)[name] - metric([a for a, _ in pairs], references)[name])
    return np.array(gaps)


def disagreements(
    first: Sequence[Prediction], second: Sequence[Prediction], references: Sequence[Record], kind: LabelKind
) -> Mapping[str, list[str]]:
    """Ids of the records on which two models differ.

    Returns
    -------
    dict
        ``only_first_right``, ``only_second_right`` and ``both_wrong``; of numbers ``first_closer`` and
        ``second_closer``, the largest gain first.
    """
    if kind == "values":
        return _closer(first, second, references)
    found: dict[str, list[str]] = {"only_first_right": [], "only_second_right": [], "both_wrong": []}
    for one, other, record in zip(first, second, references, strict=True):
        a, b, truth = (_comparable(value, kind) for value in (one.value, other.value, record.target))
        if a != b:
            name = "only_first_right" if a == truth else "only_second_right" if b == truth else "both_wrong"
            found[name].append(record.id)
    return found


def _comparable(value: object, kind: LabelKind) -> object:
    unordered = kind in ("multilabel", "spans") and isinstance(value, (list, tuple))
    return {tuple(item) if kind == "spans" else item for item in value} if unordered else value  # type: ignore[attr-defined]  # both kinds are lists


def _closer(
    first: Sequence[Prediction], second: Sequence[Prediction], references: Sequence[Record]
) -> dict[str, list[str]]:
    gains = []
    for one, other, record in zip(first, second, references, strict=True):
        truth = np.asarray(record.target, dtype=float)
        errors = [np.nanmean(np.abs(np.asarray(some.value, dtype=float) - truth)) for some in (one, other)]
        gains.append((float(errors[0] - errors[1]), record.id))
    ordered = sorted(gains, key=lambda gain: -abs(gain[0]))
    return {
        "first_closer": [name for gain, name in ordered if gain < 0],
        "second_closer": [name for gain, name in ordered if gain > 0],
    }
