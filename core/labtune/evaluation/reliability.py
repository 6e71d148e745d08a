"""How far confidence is from accuracy: decisions, bins of similar confidence, the calibration error, its plot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from labtune.evaluation.report.words import count
from labtune.evaluation.sections import Curve, Section
from labtune.specs import Labels, Prediction, Record

Array = NDArray[np.float64]

BINS = 15  # as in Guo et al., but where that leaves too few decisions
FEWEST = 25  # decisions of a bin


class Decisions(NamedTuple):
    """What the model was sure of and whether it was right: a confidence ``(M,)``, a hit ``(M,)``, a record ``(M,)``."""

    confidence: Array
    correct: Array
    row: NDArray[np.int64]

    @property
    def record_weights(self) -> Array:
        """Weights ``(M,)`` under which every record counts once, however many decisions it has."""
        return 1 / np.bincount(self.row)[self.row]


class Bin(NamedTuple):
    """Decisions of similar confidence: mean confidence, share that is right, total weight."""

    confidence: float
    accuracy: float
    weight: float


def decisions(predictions: Sequence[Prediction], records: Sequence[Record], labels: Labels) -> Decisions:
    """Collect decisions with a confidence: records or units, label by label for sets, found spans."""
    found = [
        (float(sure), float(right), row)
        for row, (prediction, record) in enumerate(zip(predictions, records, strict=True))
        for sure, right in _decided(prediction, record, labels)
        if sure is not None
    ]
    confidence, correct, rows = np.array(found, dtype=float).reshape(-1, 3).T
    return Decisions(confidence, correct, rows.astype(np.int64))


def _decided(prediction: Prediction, record: Record, labels: Labels) -> Iterator[tuple[float | None, bool]]:
    sure, truth = prediction.confidence, record.target
    if labels.kind == "values" or sure is None or truth is None:
        return
    if labels.kind == "multilabel":
        for name, chance in zip(labels.names, _listed(prediction.probabilities), strict=False):
            yield max(chance, 1 - chance), (chance >= 0.5) == (name in truth)
    elif labels.kind == "spans":
        known = {tuple(span) for span in truth}
        yield from (
            (chance, tuple(span) in known) for span, chance in zip(prediction.value, _listed(sure), strict=True)
        )
    elif isinstance(truth, (list, tuple)):
        triples = zip(_listed(sure), prediction.value, truth, strict=True)
        yield from ((chance, value == name) for chance, value, name in triples if name is not None)
    else:
        yield _listed(sure)[0], prediction.value == truth


def _listed(value: Any) -> list[float]:
    return [] if value is None else np.atleast_1d(np.asarray(value, dtype=float)).tolist()


def reliability(confidence: Array, correct: Array, weights: Array | None = None, bins: int | None = None) -> list[Bin]:
    """Put decisions in bins of equal weight by confidence, so that no bin rests on a handful of them.

    Parameters
    ----------
    confidence, correct
        ``(M,)``; ``correct`` is 0 or 1.
    weights
        ``(M,)``, all 1 by default.
    bins
        At most so many; equal confidences are not parted. By default 15, or fewer with few decisions.
    """
    if not len(confidence):
        return []
    bins = bins or min(BINS, max(1, len(confidence) // FEWEST))
    share = np.ones_like(confidence) if weights is None else weights
    _, same = np.unique(confidence, return_inverse=True)
    mass = np.bincount(same, share)  # of each distinct confidence
    middle = (np.cumsum(mass) - mass / 2) / mass.sum()
    bin_of = np.minimum((middle * bins).astype(int), bins - 1)[same]
    found = []
    for index in np.unique(bin_of):
        inside = bin_of == index
        average = (
            np.average(confidence[inside], weights=share[inside]),
            np.average(correct[inside], weights=share[inside]),
        )
        found.append(Bin(float(average[0]), float(average[1]), float(share[inside].sum())))
    return found


def expected_calibration_error(bins: Sequence[Bin]) -> float:
    """Mean distance of confidence from accuracy over bins of equal weight (Nguyen and O'Connor 2015, EMNLP).

    A perfectly calibrated model is not at 0 with few decisions, because the accuracy of each bin varies by chance.
    """
    total = sum(bin_.weight for bin_ in bins)
    return sum(bin_.weight * abs(bin_.confidence - bin_.accuracy) for bin_ in bins) / total if total else float("nan")


def calibration_scores(decided: Decisions) -> dict[str, float | int]:
    """Calibration error over decisions and over records, and the number of decisions; empty without any."""
    if not len(decided.confidence):
        return {}
    per_record = reliability(decided.confidence, decided.correct, decided.record_weights)
    return {
        "ece": expected_calibration_error(reliability(decided.confidence, decided.correct)),
        "ece_per_record": expected_calibration_error(per_record),
        "decisions": len(decided.confidence),
    }


def calibration_sections(decided: Decisions, how: str) -> list[Section]:
    """Draw accuracy against confidence, and say how it was calibrated; nothing without decisions."""
    bins = reliability(decided.confidence, decided.correct)
    if not bins:
        return []
    note = (
        f"{len(decided.confidence):,} decisions in {count(len(bins), 'bin')} of equal size, calibrated by {how}. "
        f"On the diagonal, of the decisions with confidence 0.8 eight in ten are right. Expected calibration error "
        f"{expected_calibration_error(bins):.3f}."
    )
    points = [(bin_.confidence, bin_.accuracy) for bin_ in bins]
    return [Curve("Calibration", "confidence", "share that is right", {"predictions": points}, note, diagonal=True)]
