"""Profiles to one row of features a record: the genes that vary most in the training data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from labtune.builtin.tokenizers import TargetEncoder
from labtune.errors import RunError, SettingsError
from labtune.protocols import Batch
from labtune.ragged import Ragged
from labtune.specs import Labels, Record
from labtune_expression.cells.vocabulary import GeneVocabulary, moments, vocabulary_state

DIGITS = 6  # of what is saved
CLEAREST = 1e4  # F of a gene above which more makes no difference


class GeneTokenizer:
    """Normalised expression of genes around the training mean, on a scale on which they deviate by one on average.

    Beside it stands how many of these genes a cell shows, which normalisation takes out and which goes with its size.
    Counts become ``log(1 + 10,000 x / total)``; other values stay. The genes with the largest variance, their means and
    the scale are learned from training data. A gene that a file does not have counts as average.

    Parameters
    ----------
    vocabulary
        Not used.
    labels
        Of kind ``classes`` or ``values``.
    genes
        F, size of the vocabulary; features are zero where the training data have fewer genes.
    standardise
        Bring each gene to deviation one on its own, for values of unlike scale such as probes.
    separation
        Weigh genes by how well they tell the training classes apart, the F of an analysis of variance, to this power: 1
        lets a network find the few that matter among thousands in tens of samples; 0 weighs all alike.
    """

    def __init__(
        self,
        vocabulary: Any,
        labels: Labels,
        *,
        genes: int = 3000,
        standardise: bool = False,
        separation: float = 0.0,
    ) -> None:
        if genes < 1:
            raise SettingsError("tokenizer.genes starts at 1")
        if separation and labels.kind != "classes":
            raise SettingsError("tokenizer.separation is for classes; set it to 0")
        self.size = genes
        self.standardise = standardise
        self.separation = separation
        self.targets = TargetEncoder(labels)
        self.genes = GeneVocabulary({})
        self.means = np.zeros(0, dtype=np.float32)
        self.scales = np.zeros(0, dtype=np.float32)
        self.usual = (0.0, 1.0)  # mean and deviation of depths

    def fit(self, records: Sequence[Record]) -> None:
        """Choose genes by the variance of normalised values; raises DataError if none varies."""
        found = moments(records)
        chosen = found.most_variable(self.size)
        deviations = found.deviations[chosen]
        self.genes = found.vocabulary(chosen)
        self.means = found.means[chosen].astype(np.float32)
        whole = np.full(len(chosen), np.sqrt((deviations**2).mean()))
        self.scales = (1 / (deviations if self.standardise else whole)).astype(np.float32)
        if self.separation:
            self.scales *= self._weights(records)
        depths = np.array([self._depth(record) for record in records])
        self.usual = (float(depths.mean()), float(depths.std()) or 1.0)

    def state(self) -> dict[str, Any]:
        """What ``fit`` learned, as JSON types."""
        return {
            "genes": vocabulary_state(self.genes),
            "means": np.round(self.means.astype(float), DIGITS).tolist(),
            "scales": self.scales.astype(float).tolist(),
            "usual": list(self.usual),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state` gave."""
        self.genes = GeneVocabulary(state["genes"])
        self.means = np.array(state["means"], dtype=np.float32)
        self.scales = np.array(state["scales"], dtype=np.float32)
        mean, deviation = state["usual"]
        self.usual = (mean, deviation)

    def __call__(self, records: Sequence[Record]) -> Batch:
        """Make one row of features a record: ``{"features": (B, F), "depth": (B, 1)}``."""
        if not len(self.genes):
            raise RunError("tokenizer 'expression.genes' has not seen training data")
        rows = np.zeros((len(records), self.size), dtype=np.float32)
        for row, record in zip(rows, records, strict=True):
            row[: len(self.genes)] = self._features(record)
        mean, deviation = self.usual
        depths = torch.tensor([[(self._depth(record) - mean) / deviation] for record in records])  # (B, 1)
        inputs = {"features": Ragged.one_per_row(torch.from_numpy(rows)), "depth": Ragged.one_per_row(depths)}
        return Batch(records=records, inputs=inputs, targets=self.targets(records))

    def _weights(self, records: Sequence[Record]) -> NDArray[np.float32]:
        """Of genes by the separation of classes, ``(G,)``, with a mean square of one."""
        from sklearn.feature_selection import f_classif

        rows = np.stack([self._features(record) for record in records])  # (B, G)
        with np.errstate(divide="ignore", invalid="ignore"):  # of genes that do not vary within classes
            found, _ = f_classif(rows, [record.target for record in records])
        weights = np.nan_to_num(found, nan=0.0, posinf=CLEAREST).clip(0, CLEAREST) ** self.separation
        size = np.sqrt((weights**2).mean())
        return (weights / size if size else np.ones_like(weights)).astype(np.float32)

    def _depth(self, record: Record) -> float:
        """Logarithm of the share of the model's genes, of those that the file has, that a cell shows."""
        place_of, missing = self.genes.match(record.input.genes)
        shown = np.count_nonzero(place_of[record.input.columns] < len(missing))
        return math.log(max(shown, 1) / np.count_nonzero(~missing))

    def _features(self, record: Record) -> NDArray[np.float32]:
        """Of one cell, ``(G,)``."""
        place_of, missing = self.genes.match(record.input.genes)
        values = np.zeros(len(self.genes) + 1, dtype=np.float32)  # the last is of genes that are not the model's
        values[place_of[record.input.columns]] = record.input.normalised()
        features: NDArray[np.float32] = (values[:-1] - self.means) * self.scales
        features[missing] = 0.0
        return features
