"""Precision of the strongest predicted contacts."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from labtune.specs import Labels, Prediction, Record
from labtune_protein.pairs.ranking import RANGES
from labtune_protein.pairs.tokenizing import unresolved

SHARES = {"l": 1, "l2": 2, "l5": 5}


class ContactPrecision:
    """Precision of the L, L/2 and L/5 likeliest pairs in short, medium and long range, averaged over chains.

    L is the number of residues of a chain. Pairs with an unresolved residue are passed over; a chain without enough
    residues for a range does not count in it.

    Parameters
    ----------
    labels
        Distance bins, of which the first is contact.
    """

    monitor = "p_at_l_long"

    def __init__(self, labels: Labels) -> None:
        self.contact = labels.names[0]
        self.names = [f"p_at_{share}_{where}" for where in RANGES for share in SHARES]

    def __call__(self, predictions: Sequence[Prediction], references: Sequence[Record]) -> dict[str, float]:
        """All scores; of an empty sequence, NaN."""
        return {name: float(value) for name, value in self.scores(self.parts(predictions, references).sum(0)).items()}

    def parts(self, predictions: Sequence[Prediction], references: Sequence[Record]) -> np.ndarray:
        """Give for each chain its precisions, and 1 where there is one: ``(R, 18)``."""
        rows = [self._chain(*pair) for pair in zip(predictions, references, strict=True)]
        found = np.array(rows, dtype=float).reshape(-1, len(self.names))
        return np.concatenate([np.nan_to_num(found), np.isfinite(found)], axis=1)

    def scores(self, totals: np.ndarray) -> dict[str, np.ndarray]:
        """Average over chains: sums ``(..., 18)`` to scores ``(...)``."""
        sums, counts = np.split(totals, 2, axis=-1)
        with np.errstate(invalid="ignore", divide="ignore"):
            averages = sums / counts
        return {name: averages[..., index] for index, name in enumerate(self.names)}

    def _chain(self, prediction: Prediction, record: Record) -> list[float]:
        true = {(first, second) for first, second, name in record.target if name == self.contact}
        hidden = unresolved(record)
        size = len(record.input)
        found = []
        ranked = prediction.details.get("pairs") or _by_range(prediction, self.contact)
        for where in RANGES:
            pairs = [
                (int(first), int(second)) in true
                for first, second, _ in ranked.get(where, ())
                if not (hidden[int(first)] or hidden[int(second)])
            ]
            for divisor in SHARES.values():
                top = pairs[: max(1, size // divisor)]
                found.append(float(np.mean(top)) if top else np.nan)
        return found


def _by_range(prediction: Prediction, contact: str) -> dict[str, list[tuple[int, int, float]]]:
    """Sort predicted contacts into ranges, the surest first, for predictions that tell no further pairs."""
    sure = prediction.confidence if isinstance(prediction.confidence, Sequence) else [1.0] * len(prediction.value)
    pairs = [(i, j, p) for (i, j, name), p in zip(prediction.value, sure, strict=True) if name == contact]
    pairs.sort(key=lambda pair: -pair[2])
    return {
        where: [pair for pair in pairs if low <= pair[1] - pair[0] < (high or math.inf)]
        for where, (low, high) in RANGES.items()
    }
