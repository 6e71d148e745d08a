"""Kernel ridge regression in closed form, with what each training record would have been told without itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import linalg
from sklearn.metrics.pairwise import euclidean_distances

SHARPNESS = (0.003, 0.01, 0.03, 0.1, 0.3)  # the least is nearly linear in the points
NOISE = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
TRIED = 1000  # training records on which these are compared


@dataclass(frozen=True)
class KernelRegression:
    """Averages of the training targets, weighed by likeness: ``exp(-sharpness * squared distance)``.

    The same function as the mean of a Gaussian process (Rasmussen and Williams 2006, equation 2.25).

    Parameters
    ----------
    sharpness
        How fast likeness falls with the squared distance.
    noise
        Variance of the noise in the targets over that of the signal.
    """

    sharpness: float
    noise: float

    @classmethod
    def choose(cls, points: Any, targets: np.ndarray) -> KernelRegression:
        """Choose both numbers by the squared leave-one-out error on some of the training records, always the same.

        Of all whose error is within a standard error of the least, the least sharp is taken (the rule of Breiman et
        al. 1984): it says more of records that are unlike the training records.
        """
        rows = np.random.default_rng(0).permutation(points.shape[0])[:TRIED]
        squared, known = _squared(points[rows], points[rows]), targets[rows]
        errors = {
            cls(sharpness, noise): error
            for sharpness in SHARPNESS
            for noise, error in _errors(np.exp(-sharpness * squared), known)
        }
        best = min(errors.values(), key=np.mean)
        limit = best.mean() + best.std() / np.sqrt(len(best))
        good = [candidate for candidate, error in errors.items() if error.mean() <= limit]
        return min(good, key=lambda candidate: (candidate.sharpness, errors[candidate].mean()))

    def fit(self, points: Any, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Solve for the weights of the training records.

        Parameters
        ----------
        points
            Of the training records, ``(R, F)``, dense or sparse.
        targets
            ``(R, L)``, centred.

        Returns
        -------
        tuple of array
            Weights ``(R, L)``, and leave-one-out predictions ``(R, L)`` (Rasmussen and Williams 2006, equation 5.12).
        """
        return self._solve(self._kernel(points, points), targets)

    def predict(self, asked: Any, points: Any, weights: np.ndarray) -> np.ndarray:
        """Predictions ``(A, L)`` for points ``(A, F)`` from training points ``(R, F)`` and their weights ``(R, L)``."""
        found: np.ndarray = self._kernel(asked, points) @ weights
        return found

    def _kernel(self, some: Any, others: Any) -> np.ndarray:
        squared = _squared(some, others)
        squared *= -self.sharpness
        return np.exp(squared, out=squared)

    def _solve(self, kernel: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        kernel[np.diag_indices(len(kernel))] += self.noise
        factor, lower = linalg.cho_factor(kernel, lower=True, overwrite_a=True, check_finite=False)
        weights = linalg.cho_solve((factor, lower), targets, check_finite=False)
        inverse, _ = linalg.lapack.dpotri(factor, lower=True)  # its diagonal costs a third of solving for all of it
        return weights, targets - weights / np.diag(inverse)[:, None]


def _errors(kernel: np.ndarray, targets: np.ndarray) -> Iterator[tuple[float, np.ndarray]]:
    """Squared leave-one-out error of each record, ``(R,)``, under each noise; one decomposition serves them all."""
    values, vectors = linalg.eigh(kernel, overwrite_a=True, check_finite=False)
    turned = vectors.T @ targets  # (R, L)
    for noise in NOISE:
        scale = 1 / (np.maximum(values, 0.0) + noise)
        weights = vectors @ (turned * scale[:, None])
        diagonal = vectors**2 @ scale
        yield noise, ((weights / diagonal[:, None]) ** 2).mean(1)


def _squared(some: Any, others: Any) -> np.ndarray:
    found: np.ndarray = euclidean_distances(some, others, squared=True)
    return found
