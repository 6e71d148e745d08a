"""One temperature for the scores: the calibration that needs least data, and changes no prediction.

A head's scores are divided by it before the head decodes, so every probability that it derives from them, of a class, a
word or a whole span, is tempered alike (Guo et al. 2017, On Calibration of Modern Neural Networks, ICML).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from labtune.protocols import IGNORED, Batch, Output
from labtune.specs import Prediction

Array = NDArray[np.float64]

RANGE = (0.05, 20.0)
TOLERANCE = 0.01  # of the logarithm: no confidence changes visibly below it
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


def fit_temperature(head: Any, kept: Sequence[tuple[Batch, Output]]) -> Temperature:
    """Choose the temperature under which the truth is likeliest.

    A standard normal prior on its logarithm, worth about one record, keeps few and faultless records from making the
    model certain of everything.

    Parameters
    ----------
    head
        Its ``tempered(output, temperature)`` is used when more than the logits are scores.
    kept
        Batches with targets, and what the head computed for them.

    Returns
    -------
    Temperature
        1, without records, where the head gives no probabilities that lie alongside the targets.
    """

    @torch.inference_mode()
    def likelihood(value: float) -> Array | None:
        return _joined(log_likelihoods(head.decode(tempered(head, out, value), batch), batch) for batch, out in kept)

    before = likelihood(1.0)
    if before is None or not before.size:
        return Temperature()

    def loss(logarithm: float) -> float:
        found = likelihood(float(np.exp(logarithm)))
        assert found is not None  # what has likelihoods at one temperature has them at any
        return float(-found.sum()) + logarithm**2 / 2

    best = minimize_scalar(loss, bounds=np.log(RANGE), method="bounded", options={"xatol": TOLERANCE})
    after = (float(best.fun) - float(best.x) ** 2 / 2) / before.size
    records = sum(len(batch) for batch, _ in kept)
    return Temperature(float(np.exp(best.x)), records, float(-before.mean()), after)


def tempered(head: Any, output: Output, temperature: float) -> Output:
    """Divide the scores by a temperature: the logits, or what the head's own ``tempered`` says."""
    if temperature == 1:
        return output
    own: Any = getattr(head, "tempered", None)
    if own is not None:
        return own(output, temperature)  # type: ignore[no-any-return]  # a plugin's own
    return Output(output.logits.with_values(output.logits.values / temperature), output.extras)


def log_likelihoods(predictions: Sequence[Prediction], batch: Batch) -> Array | None:
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


def _joined(parts: Iterable[Array | None]) -> Array | None:
    """Put the parts together; None as soon as one is."""
    found: list[Array] = []
    for part in parts:
        if part is None:
            return None
        found.append(part)
    return np.concatenate(found or [np.zeros(0)])
