"""Entity scores: an entity counts when both its ends and its type are right (Tjong Kim Sang and De Meulder 2003)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from labtune.errors import DataError
from labtune.specs import Labels, Prediction, Record


class EntityScores:
    """Precision, recall and F1 of entities, equal to seqeval's; micro over all entities, macro over types.

    As in seqeval, a ratio without a denominator is 0, and the macro average is over types that occur in the truth or in
    the predictions.

    Parameters
    ----------
    labels
        Of kind ``spans``, K types.
    """

    monitor = "entity_f1"

    def __init__(self, labels: Labels) -> None:
        self.types = {name: index for index, name in enumerate(labels.names)}

    def __call__(self, predictions: Sequence[Prediction], references: Sequence[Record]) -> dict[str, float]:
        """All scores; of an empty sequence, NaN."""
        scores = self.scores(self.parts(predictions, references).sum(0))
        return {name: float(value) if len(references) else float("nan") for name, value in scores.items()}

    def parts(self, predictions: Sequence[Prediction], references: Sequence[Record]) -> np.ndarray:
        """Per record the right, predicted and true entities of each type: ``(R, 3 K)``."""
        counts = np.zeros((len(references), 3, len(self.types)))
        for row, (prediction, reference) in enumerate(zip(predictions, references, strict=True)):
            predicted, true = set(prediction.value), set(reference.target)
            for kind, spans in enumerate((predicted & true, predicted, true)):
                for span in spans:
                    counts[row, kind, self._index(span.label, reference)] += 1
        return counts.reshape(len(references), 3 * len(self.types))

    def scores(self, totals: np.ndarray) -> dict[str, np.ndarray]:
        """Scores of summed counts ``(..., 3 K)``."""
        right, predicted, true = np.moveaxis(totals.reshape(*totals.shape[:-1], 3, -1), -2, 0)  # (..., K)
        micro = precision_recall_f1(right.sum(-1), predicted.sum(-1), true.sum(-1))
        occurs = (predicted + true) > 0
        each = precision_recall_f1(right, predicted, true)
        macro = [_ratio((score * occurs).sum(-1), occurs.sum(-1)) for score in each]
        names = ("precision", "recall", "f1")
        return {f"entity_{name}": score for name, score in zip(names, micro, strict=True)} | {
            f"entity_macro_{name}": score for name, score in zip(names, macro, strict=True)
        }

    def _index(self, name: str, record: Record) -> int:
        if name not in self.types:
            raise DataError(f"{record.source or record.id}: entity type {name!r} is none of {', '.join(self.types)}")
        return self.types[name]


def precision_recall_f1(
    right: np.ndarray, predicted: np.ndarray, true: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision, recall and F1 of counts of the same shape; 0 where undefined."""
    precision, recall = _ratio(right, predicted), _ratio(right, true)
    return precision, recall, _ratio(2 * precision * recall, precision + recall)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    result: np.ndarray = np.divide(part, whole, out=np.zeros_like(part, dtype=float), where=np.asarray(whole) > 0)
    return result
