"""Scores of secondary structure under the names of the field."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from labtune.builtin.metrics import TokenClassification
from labtune.specs import Labels, Prediction, Record


class SecondaryStructure:
    """Q3 or Q8, the share of residues whose state is right, over all residues; macro F1; and recall and F1 by state.

    Unresolved residues do not count.

    Parameters
    ----------
    labels
        Three or eight states.
    """

    def __init__(self, labels: Labels) -> None:
        self.name = f"q{len(labels.names)}"
        self.monitor = self.name
        self.labels = labels
        self.counted = TokenClassification(labels)

    def __call__(self, predictions: Sequence[Prediction], references: Sequence[Record]) -> dict[str, float]:
        """All scores; of an empty sequence, NaN."""
        totals = self.parts(predictions, references).sum(0)
        return {name: float(value) for name, value in self.scores(totals).items()}

    def parts(self, predictions: Sequence[Prediction], references: Sequence[Record]) -> np.ndarray:
        """Count for each record true, predicted and right residues of each state: ``(R, 3 L)``."""
        return self.counted.parts(predictions, references)

    def scores(self, totals: np.ndarray) -> dict[str, np.ndarray]:
        """Compute the scores ``(...)`` of summed counts ``(..., 3 L)``."""
        general = self.counted.scores(totals)
        found = {self.name: general["accuracy"], "macro_f1": general["macro_f1"]}
        true, predicted, right = np.split(totals, 3, axis=-1)
        with np.errstate(invalid="ignore", divide="ignore"):
            recall = right / true
            f1 = 2 * right / (true + predicted)
        for index, state in enumerate(self.labels.names):
            found[f"recall_{state}"] = recall[..., index]
            found[f"f1_{state}"] = f1[..., index]
        return found
