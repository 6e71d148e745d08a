"""Numbers with a long tail brought near a normal distribution, and back."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.preprocessing import PowerTransformer

STEP = 1e-3  # of the transformed numbers, for the slope at the ends


class Warp:
    """The power transformation of Yeo and Johnson (2000, doi:10.1093/biomet/87.4.954), fitted by maximum likelihood.

    Beyond the training numbers the way back goes on straight: the inverse explodes there, or does not exist.

    Parameters
    ----------
    numbers
        Training numbers ``(R, L)``, NaN where unknown.
    """

    def __init__(self, numbers: np.ndarray) -> None:
        spread = np.nanstd(numbers, axis=0)
        self.spread = np.where(spread > 0, spread, 1.0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # columns of one value
            self.power = PowerTransformer().fit(numbers / self.spread)
        transformed = self(numbers)
        self.low, self.high = np.nanmin(transformed, axis=0), np.nanmax(transformed, axis=0)

    def __call__(self, numbers: np.ndarray) -> np.ndarray:
        """Transform to mean 0 and deviation 1 over the training numbers: ``(R, L)``."""
        found: np.ndarray = self.power.transform(numbers / self.spread)
        return found

    def back(self, transformed: np.ndarray) -> np.ndarray:
        """Turn transformed numbers ``(R, L)`` back."""
        inside = np.clip(transformed, self.low, self.high)
        toward = np.where(transformed > self.high, inside - STEP, inside + STEP)
        slope = (self._inverse(inside) - self._inverse(toward)) / (inside - toward)
        found: np.ndarray = self._inverse(inside) + slope * (transformed - inside)
        return found

    def _inverse(self, transformed: np.ndarray) -> np.ndarray:
        found: np.ndarray = self.power.inverse_transform(transformed) * self.spread
        return found
