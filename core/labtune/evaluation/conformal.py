"""Sets, intervals and abstentions with a stated coverage, from validation records alone.

Split conformal prediction (Vovk et al. 2005) with the score of Sadinle, Lei and Wasserman (2019,
doi:10.1080/01621459.2017.1395341), one minus the probability of the true label, which gives the smallest sets on
average; for numbers, the absolute residual. What is controlled is a loss per record between 0 and 1, by conformal
risk control (Angelopoulos et al. 2024, Conformal Risk Control, ICLR); for a record with one label that is the usual
quantile.

The guarantee, for records (or groups of them) exchangeable with the validation records, in expectation over both:

==========  =========================================================================================
labels      at least ``coverage`` is
==========  =========================================================================================
classes     the chance that the set holds the true class; in a unit task, the share of a record's units
multilabel  the share of a record's true labels that its set holds
values      the chance that the interval holds the true number; in a unit task, the share of a record's units
spans       one minus the share of a record's found spans that are answered and wrong
==========  =========================================================================================

It says nothing about single classes or slices, and nothing about data of another kind.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from labtune.errors import RunError
from labtune.specs import LabelKind, Labels, Prediction, Record

Array = NDArray[np.float64]

LEVELS = tuple(round(0.5 + step / 100, 2) for step in range(50))  # 0.50 to 0.99, for which a run keeps thresholds
RESAMPLES = 1000
GUARANTEES: Mapping[LabelKind, str] = {
    "classes": "the true class is in the set",
    "multilabel": "true labels are in the set",
    "values": "the true number is in the interval",
    "spans": "found spans are right or not answered",
}


class Cases(NamedTuple):
    """Everything that can be missed: how badly it does not conform, and its share of its record.

    ``score (M,)``: a case is missed at thresholds below; ``owner (M,)``: number of its record or group;
    ``weight (M,)``: sums to at most 1 for each owner; ``owners``: how many there are, with and without cases.
    """

    score: Array
    owner: NDArray[np.int64]
    weight: Array
    owners: int

    def losses(self, threshold: float) -> Array:
        """Share that is missed of each owner, ``(owners,)``."""
        missed = np.bincount(self.owner, self.weight * (self.score > threshold), minlength=self.owners)
        return missed.astype(float)


@dataclass(frozen=True, slots=True)
class Conformal:
    """Thresholds learned from validation records.

    Parameters
    ----------
    kind
        Of the labels.
    records
        Number of exchangeable records or groups behind them.
    thresholds
        For each coverage of ``LEVELS`` one a target (several for several numbers); infinite where records are too few.
    """

    kind: LabelKind
    records: int
    thresholds: Mapping[float, tuple[float, ...]]

    def at(self, coverage: float) -> tuple[float, ...]:
        """Thresholds for a coverage, or for the next higher one that is kept.

        Raises
        ------
        RunError
            If the coverage is above the highest.
        """
        level = min((level for level in self.thresholds if level >= coverage - 1e-9), default=None)
        if level is None:
            raise RunError(f"coverage {coverage:g} is above {max(self.thresholds):g}, the highest that a run keeps")
        return self.thresholds[level]


def calibrate(
    predictions: Sequence[Prediction], records: Sequence[Record], labels: Labels, coverage: float = 0.9
) -> Conformal | None:
    """Learn thresholds for every coverage of ``LEVELS`` and the given one; None without what it takes."""
    cases = find_cases(predictions, records, labels)
    if not cases:
        return None
    levels = sorted({*LEVELS, coverage})
    columns = [find_thresholds(part, levels) for part in cases]
    return Conformal(labels.kind, cases[0].owners, dict(zip(levels, zip(*columns, strict=True), strict=True)))


def find_thresholds(cases: Cases, levels: Sequence[float]) -> list[float]:
    """Find the smallest threshold for each coverage.

    At it the mean loss over the owners, and one more that loses everything, is at most 1 - coverage. It is infinite
    when there are too few owners for the coverage, and 0 when the coverage holds without any threshold.
    """
    order = np.argsort(-cases.score, kind="stable")
    values, first = np.unique(-cases.score[order], return_index=True)  # scores, falling, and where each begins
    above = np.concatenate([[0.0], np.cumsum(cases.weight[order])])  # weight above each case, and of all
    found = []
    for level in levels:
        budget = (1 - level) * (cases.owners + 1) - 1 + 1e-9
        if budget < 0:
            found.append(math.inf)
        elif above[-1] <= budget:
            found.append(0.0)
        else:
            found.append(float(-values[np.flatnonzero(above[first] <= budget)[-1]]))
    return found


def find_cases(predictions: Sequence[Prediction], records: Sequence[Record], labels: Labels) -> list[Cases]:
    """Cases of each target; none where the predictions have no probabilities, or no record has a truth."""
    columns = max(1, len(labels.names)) if labels.kind == "values" else 1
    numbers: dict[object, int] = {}
    found: list[list[tuple[float, int]]] = [[] for _ in range(columns)]
    sizes: list[dict[int, int]] = [{} for _ in range(columns)]
    for row, (prediction, record) in enumerate(zip(predictions, records, strict=True)):
        if record.target is None or not _has_scores(prediction, labels.kind):
            continue
        owner = numbers.setdefault(("row", row) if record.group is None else record.group, len(numbers))
        for column, score in _scores(prediction, record, labels):
            sizes[column][owner] = sizes[column].get(owner, 0) + 1
            if score is not None:
                found[column].append((score, owner))
    if not numbers or not any(sizes):
        return []
    return [_cases(pairs, size, len(numbers)) for pairs, size in zip(found, sizes, strict=True)]


def _cases(pairs: Sequence[tuple[float, int]], sizes: Mapping[int, int], owners: int) -> Cases:
    score, owner = np.array(pairs, dtype=float).reshape(-1, 2).T
    index = owner.astype(np.int64)
    return Cases(score, index, np.array([1 / sizes[number] for number in index.tolist()]), owners)


def _has_scores(prediction: Prediction, kind: LabelKind) -> bool:
    if kind == "values":
        return True
    return (prediction.confidence if kind == "spans" else prediction.probabilities) is not None


def _scores(prediction: Prediction, record: Record, labels: Labels) -> Iterator[tuple[int, float | None]]:
    """Column and nonconformity of everything in a record that can be missed; None for what cannot be missed."""
    if labels.kind == "values":
        truth = np.asarray(record.target, dtype=float).reshape(-1, max(1, len(labels.names)))
        residuals = np.abs(np.asarray(prediction.value, dtype=float).reshape(truth.shape) - truth)
        known = ~np.isnan(residuals)
        yield from zip(np.nonzero(known)[1].tolist(), residuals[known].tolist(), strict=True)
    elif labels.kind == "spans":
        true = {tuple(span) for span in record.target}
        for span, sure in zip(prediction.value, _listed(prediction.confidence), strict=True):
            yield 0, None if tuple(span) in true else sure
    else:
        places = {name: index for index, name in enumerate(labels.names)}
        rows = np.atleast_2d(np.asarray(prediction.probabilities, dtype=float))
        for row, name in _true_names(record.target, labels.kind):
            yield 0, 1 - float(rows[row, places[name]])


def _true_names(target: Any, kind: LabelKind) -> Iterator[tuple[int, str]]:
    """Row of the probabilities and true label."""
    if kind == "classes" and isinstance(target, (list, tuple)):
        yield from ((row, name) for row, name in enumerate(target) if name is not None)
    else:
        yield from ((0, name) for name in (target if kind == "multilabel" else [target]))


def mark(predictions: Sequence[Prediction], conformal: Conformal, labels: Labels, coverage: float) -> list[Prediction]:
    """Add to the details of each prediction ``set`` or ``interval``, and ``abstained``: what it will not answer.

    In a unit task all of them are lists alongside the units. A class is answered when its set holds nothing else, a set
    of labels when it is the predicted one, a span when its confidence is above the threshold, a number when there are
    records enough for an interval.
    """
    limits = conformal.at(coverage)
    marks = {"values": _interval, "spans": _unsure, "multilabel": _label_set}.get(labels.kind, _class_set)
    return [
        replace(prediction, details={**prediction.details, **marks(prediction, labels, limits)})
        if _has_scores(prediction, labels.kind)
        else prediction
        for prediction in predictions
    ]


def _class_set(prediction: Prediction, labels: Labels, limits: Sequence[float]) -> dict[str, Any]:
    rows = np.asarray(prediction.probabilities, dtype=float)
    sets = [[labels.names[index] for index in np.flatnonzero(1 - row <= limits[0])] for row in np.atleast_2d(rows)]
    if rows.ndim == 1:
        return {"set": sets[0], "abstained": sets[0] != [prediction.value]}
    return {"set": sets, "abstained": [some != [name] for some, name in zip(sets, prediction.value, strict=True)]}


def _label_set(prediction: Prediction, labels: Labels, limits: Sequence[float]) -> dict[str, Any]:
    inside = np.flatnonzero(1 - np.asarray(prediction.probabilities, dtype=float) <= limits[0])
    chosen = [labels.names[index] for index in inside]
    return {"set": chosen, "abstained": set(chosen) != set(prediction.value)}


def _unsure(prediction: Prediction, labels: Labels, limits: Sequence[float]) -> dict[str, Any]:
    return {"abstained": [sure <= limits[0] for sure in _listed(prediction.confidence)]}


def _interval(prediction: Prediction, labels: Labels, limits: Sequence[float]) -> dict[str, Any]:
    known = all(map(math.isfinite, limits))
    if not known:
        return {"interval": None, "abstained": True}
    value = np.asarray(prediction.value, dtype=float)
    half = np.asarray(limits) if len(limits) > 1 else limits[0]
    return {"interval": np.stack([value - half, value + half], axis=-1).tolist(), "abstained": False}


def realised(
    predictions: Sequence[Prediction],
    records: Sequence[Record],
    labels: Labels,
    conformal: Conformal,
    coverage: float,
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """Measure on labelled records what the coverage came to.

    Parameters
    ----------
    predictions
        As :func:`mark` returned them.
    records, labels, conformal, coverage
        The truth, and what they were marked with.
    seed
        Of the bootstrap over records or groups.

    Returns
    -------
    dict
        ``target``; ``realised`` with its 95 % interval; ``answered``: the share not abstained from; ``mean_set_size``
        or ``width`` where there are sets or intervals; ``calibrated_on``: number of records. Empty without truth.
    """
    cases = find_cases(predictions, records, labels)
    if not cases:
        return {}
    limits = conformal.at(coverage)
    losses = np.mean([part.losses(limit) for part, limit in zip(cases, limits, strict=True)], axis=0)
    generator = np.random.default_rng(seed)
    means = [losses[generator.integers(len(losses), size=len(losses))].mean() for _ in range(RESAMPLES)]
    low, high = 1 - np.quantile(means, [0.975, 0.025])
    found = {
        "target": coverage,
        "realised": {"value": float(1 - losses.mean()), "low": float(low), "high": float(high)},
        "answered": 1 - _mean(flag for one in predictions for flag in _flat(one.details.get("abstained", []))),
        "calibrated_on": conformal.records,
        "meaning": GUARANTEES[labels.kind],
    }
    if labels.kind in ("classes", "multilabel"):
        sizes = (len(some) for one in predictions for some in _sets(one.details.get("set", [])))
        return {**found, "mean_set_size": _mean(sizes)}
    if labels.kind == "values":
        widths = {name: 2 * limit for name, limit in zip(labels.names or ("value",), limits, strict=True)}
        return {**found, "width": next(iter(widths.values())) if len(widths) == 1 else widths}
    return found


def _sets(found: Sequence[Any]) -> Sequence[Any]:
    """Sets of the units, or the one set of the record."""
    return found if found and isinstance(found[0], list) else [found]


def _listed(numbers: Any) -> list[float]:
    found: list[float] = np.asarray(numbers, dtype=float).reshape(-1).tolist()
    return found


def _flat(flags: Any) -> Sequence[bool]:
    return flags if isinstance(flags, list) else [flags]


def _mean(values: Iterator[float]) -> float:
    found = list(values)
    return sum(found) / len(found) if found else float("nan")
