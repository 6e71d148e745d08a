"""Confidence that means what it says: one temperature for the scores, and how far confidence is from accuracy.

A head's scores are divided by a temperature before it decodes, so every probability that it derives from them, of a
class, a word or a whole span, is tempered alike, and no prediction changes (Guo et al. 2017, On Calibration of Modern
Neural Networks, ICML).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from labtune.data.batching import stable_seed
from labtune.evaluation.sections import Curve, Section
from labtune.inference import outputs, tempered
from labtune.protocols import IGNORED, Batch, Output
from labtune.specs import Labels, Prediction, Record

Array = NDArray[np.float64]

ENOUGH = 2000  # records: one number needs no more
BINS = 15  # as in Guo et al., but where that leaves too few decisions
FEWEST = 25  # decisions of a bin
RANGE = (0.05, 20.0)
_TINY = np.finfo(np.float32).tiny


@dataclass(frozen=True, slots=True)
class Temperature:
    """A temperature and what it did to the validation data that it was fitted on.

    Parameters
    ----------
    value
        What scores are divided by; above 1 the model was too sure of itself.
    records
        How many were used.
    nll_before, nll_after
        Mean negative log-likelihood of the truth, at temperature 1 and at this one.
    """

    value: float = 1.0
    records: int = 0
    nll_before: float | None = None
    nll_after: float | None = None


def fit_temperature(
    model: torch.nn.Module, valid: Batch, *, batch_tokens: int, device: torch.device | str, seed: int = 0
) -> Temperature:
    """Choose the temperature under which validation data are likeliest.

    A standard normal prior on its logarithm, worth about one record, keeps few and faultless records from making the
    model certain of everything.

    Parameters
    ----------
    model
        Bare or prepared; its head may have ``tempered(output, temperature)`` when more than the logits are scores.
    valid
        Tokenised records with targets; at most ``ENOUGH`` of them are drawn.
    batch_tokens, device
        Of the forward passes.
    seed
        Of the draw.

    Returns
    -------
    Temperature
        1, without records, where the head gives no probabilities that lie alongside the targets.
    """
    rows = np.random.default_rng(stable_seed("temperature", seed)).permutation(len(valid))[:ENOUGH].tolist()
    head: Any = getattr(model, "module", model).head
    kept: list[tuple[Batch, Output]] = []
    for _, batch, output in outputs(model, valid, rows, batch_tokens=batch_tokens, device=device):
        if not kept and _log_likelihoods(head.decode(output, batch), batch) is None:
            return Temperature()
        kept.append((batch, output))

    @torch.inference_mode()
    def likelihood(value: float) -> Array:
        parts = [_log_likelihoods(head.decode(tempered(head, output, value), batch), batch) for batch, output in kept]
        return np.concatenate([part for part in parts if part is not None] or [np.zeros(0)])

    before = likelihood(1.0)
    if not before.size:
        return Temperature()

    def loss(logarithm: float) -> float:
        return float(-likelihood(float(np.exp(logarithm))).sum()) + logarithm**2 / 2

    best = minimize_scalar(loss, bounds=np.log(RANGE), method="bounded", options={"xatol": 1e-3})
    value = float(np.exp(best.x))
    return Temperature(value, len(rows), float(-before.mean()), float(-likelihood(value).mean()))


def _log_likelihoods(predictions: Sequence[Prediction], batch: Batch) -> Array | None:
    """Log-probability of each known target ``(M,)``; None where probabilities do not lie alongside the targets."""
    if batch.targets is None or any(prediction.probabilities is None for prediction in predictions):
        return None
    found: list[Array] = []
    for prediction, target in zip(predictions, batch.targets, strict=True):
        truth = target.cpu().numpy()
        if not len(truth):  # a record without units
            continue
        probabilities = np.asarray(prediction.probabilities, dtype=float).reshape(len(truth), -1)
        if np.issubdtype(truth.dtype, np.integer) and truth.ndim == 1:
            known = truth != IGNORED
            chances = probabilities[np.flatnonzero(known), truth[known]]
        elif truth.shape == probabilities.shape:
            chances = np.where(truth > 0.5, probabilities, 1 - probabilities)[~np.isnan(truth)]
        else:
            return None
        found.append(np.log(np.maximum(chances, _TINY)))
    return np.concatenate(found or [np.zeros(0)])


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


def calibration_sections(decided: Decisions, temperature: float) -> list[Section]:
    """Draw accuracy against confidence; nothing without decisions."""
    bins = reliability(decided.confidence, decided.correct)
    if not bins:
        return []
    note = (
        f"{len(decided.confidence):,} decisions in {len(bins)} bins of equal size, at temperature {temperature:.2f}. "
        f"On the diagonal, of the decisions with confidence 0.8 eight in ten are right. Expected calibration error "
        f"{expected_calibration_error(bins):.3f}."
    )
    points = [(bin_.confidence, bin_.accuracy) for bin_ in bins]
    return [Curve("Calibration", "confidence", "share that is right", {"predictions": points}, note, diagonal=True)]
