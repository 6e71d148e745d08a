"""Finer calibrations than a temperature, for those who have the data: every class gets its own.

Both start from logits and return logits, so that a head decodes them as its own. Other than a temperature they may
change predictions: the likeliest class of the calibrated probabilities is predicted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_expit, log_softmax, logit
from sklearn.isotonic import IsotonicRegression

from labtune.protocols import IGNORED

Array = NDArray[np.float64]

KEPT = 1e-3  # share of the uncalibrated probability that keeps order within a step of an isotonic map


class Scored(NamedTuple):
    """Logits with their truth.

    ``logits (M, L)``; ``truth (M, L)``: 1 for what is true, NaN where unknown; ``owner (M,)``: number of the record or
    group; ``exclusive``: whether one label is true of each row, so that probabilities are a softmax and not sigmoids.
    """

    logits: Array
    truth: Array
    owner: NDArray[np.int64]
    exclusive: bool

    def at(self, rows: NDArray[np.bool_]) -> Scored:
        """Return some rows."""
        return Scored(self.logits[rows], self.truth[rows], self.owner[rows], self.exclusive)

    def losses(self, logits: Array) -> Array:
        """Log loss of each row under other logits for it: ``(M,)``."""
        if self.exclusive:
            found: Array = -(log_softmax(logits, axis=1) * self.truth).sum(1)
            return found
        chances = log_expit(np.where(self.truth > 0.5, logits, -logits))
        found = -np.where(np.isnan(self.truth), 0.0, chances).sum(1)
        return found


class Rescaling(Protocol):
    """A fitted calibration."""

    def __call__(self, logits: Array, *, exclusive: bool) -> Array:
        """Return calibrated logits ``(M, L)``."""
        ...


@dataclass(frozen=True, slots=True)
class Vector:
    """A weight and a bias for the logits of each class (Guo et al. 2017: vector scaling; of sets: Platt scaling)."""

    weight: tuple[float, ...]
    bias: tuple[float, ...]

    def __call__(self, logits: Array, *, exclusive: bool) -> Array:
        """Scale and shift."""
        found: Array = logits * np.asarray(self.weight) + np.asarray(self.bias)
        return found


@dataclass(frozen=True, slots=True)
class Isotonic:
    """A rising function of each class's probability, normalised over exclusive classes.

    Zadrozny and Elkan 2002 (doi:10.1145/775047.775151). ``knots``: for each class where its function bends, and its
    values there; ``temperature``: what logits are divided by before.
    """

    temperature: float
    knots: tuple[tuple[tuple[float, ...], tuple[float, ...]], ...]

    def __call__(self, logits: Array, *, exclusive: bool) -> Array:
        """Map the probabilities, and return them as logits."""
        chances = probabilities(logits / self.temperature, exclusive=exclusive)
        mapped = np.stack([np.interp(chances[:, k], *knots) for k, knots in enumerate(self.knots)], axis=1)
        mixed = (1 - KEPT) * mapped + KEPT * chances
        return np.log(np.maximum(mixed, 1e-12)) if exclusive else logit(np.clip(mixed, 1e-12, 1 - 1e-12))


def scored(
    logits: Sequence[Array], targets: Sequence[NDArray[np.generic]], owners: NDArray[np.int64], *, exclusive: bool
) -> Scored:
    """Put logits ``(U, L)`` and encoded targets ``(U,)`` or ``(U, L)`` of records together, without unknown rows."""
    owner = np.repeat(owners, [len(target) for target in targets])
    everything, truth = np.concatenate(logits).astype(float), np.concatenate(targets)
    if not exclusive:
        return Scored(everything, truth.astype(float), owner, exclusive)
    known = truth != IGNORED
    return Scored(everything[known], np.eye(everything.shape[1])[truth[known].astype(int)], owner[known], exclusive)


def fit_vector(data: Scored, temperature: float) -> Vector:
    """Fit weights and biases by likelihood.

    A normal prior around the temperature, worth about one record, keeps rare classes near it.
    """
    labels = data.logits.shape[1]
    start = np.concatenate([np.full(labels, 1 / temperature), np.zeros(labels)])
    known = ~np.isnan(data.truth)
    truth = np.nan_to_num(data.truth)

    def loss(values: Array) -> tuple[float, Array]:
        logits = data.logits * values[:labels] + values[labels:]
        off = (probabilities(logits, exclusive=data.exclusive) - truth) * known  # (M, L)
        gradient = np.concatenate([(off * data.logits).sum(0), off.sum(0)]) + values - start
        return float(data.losses(logits).sum() + ((values - start) ** 2).sum() / 2), gradient

    found = minimize(loss, start, jac=True, method="L-BFGS-B").x
    return Vector(tuple(found[:labels].tolist()), tuple(found[labels:].tolist()))


def fit_isotonic(data: Scored, temperature: float) -> Isotonic:
    """Fit a function for each class by least squares, one class against the rest.

    No probability becomes 0 or 1: with n targets, none is nearer to them than 1 / (n + 2).
    """
    chances = probabilities(data.logits / temperature, exclusive=data.exclusive)
    knots = []
    for chance, truth in zip(chances.T, data.truth.T, strict=True):
        known = ~np.isnan(truth)
        least = 1 / (known.sum() + 2)
        regression = IsotonicRegression(y_min=least, y_max=1 - least, out_of_bounds="clip")
        regression.fit(chance[known], truth[known])
        knots.append((tuple(regression.X_thresholds_.tolist()), tuple(regression.y_thresholds_.tolist())))
    return Isotonic(temperature, tuple(knots))


def probabilities(logits: Array, *, exclusive: bool) -> Array:
    """Softmax over exclusive classes, else a sigmoid for each label."""
    found: Array = np.exp(log_softmax(logits, axis=1)) if exclusive else expit(logits)
    return found
