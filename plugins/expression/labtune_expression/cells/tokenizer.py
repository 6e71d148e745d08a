"""Profiles to one row of features a record, over the genes that vary most in the training data."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from labtune.builtin.tokenizers import TargetEncoder
from labtune.errors import DataError, RunError, SettingsError
from labtune.protocols import Batch
from labtune.ragged import Ragged
from labtune.specs import Labels, Record
from labtune_expression.cells.profile import gene_key

LEAST_COVERAGE = 0.5  # of the vocabulary; a file with less is another organism, or names genes otherwise
LARGEST = 10.0  # deviations from the mean
log = logging.getLogger(__name__)


class GeneTokenizer:
    """Normalised expression of the genes that vary most, each brought to mean zero and deviation one.

    Counts become ``log(1 + 10,000 x / total)``; other values stay. Vocabulary, means and deviations are learned from
    training data. A gene that a file does not have counts as average.

    Parameters
    ----------
    vocabulary
        Not used.
    labels
        Of kind ``classes`` or ``values``.
    genes
        G, size of the vocabulary; with fewer genes in the training data the last features are zero.
    """

    def __init__(self, vocabulary: Any, labels: Labels, *, genes: int = 3000) -> None:
        if genes < 1:
            raise SettingsError(f"tokenizer.genes is {genes}; it starts at 1")
        self.size = genes
        self.targets = TargetEncoder(labels)
        self.names: tuple[str, ...] = ()
        self.means = np.zeros(0, dtype=np.float32)
        self.deviations = np.ones(0, dtype=np.float32)

    def fit(self, records: Sequence[Record]) -> None:
        """Choose the genes with the largest variance of normalised values."""
        names, sums, squares = _moments(records)
        means = sums / len(records)
        deviations = np.sqrt(np.maximum(squares / len(records) - means**2, 0))
        chosen = np.sort(np.argsort(-deviations, kind="stable")[: self.size])
        chosen = chosen[deviations[chosen] > 0]
        if not len(chosen):
            raise DataError("no gene varies in the training data; check the matrix")
        self.names = tuple(names[place] for place in chosen)
        self.means, self.deviations = means[chosen].astype(np.float32), deviations[chosen].astype(np.float32)

    def state(self) -> dict[str, Any]:
        """What ``fit`` learned, as JSON types."""
        return {"genes": list(self.names), "means": self.means.tolist(), "deviations": self.deviations.tolist()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state` gave."""
        self.names = tuple(state["genes"])
        self.means = np.array(state["means"], dtype=np.float32)
        self.deviations = np.array(state["deviations"], dtype=np.float32)

    def __call__(self, records: Sequence[Record]) -> Batch:
        """Make one row of features a record: ``{"features": (B, G)}``."""
        if not self.names:
            raise RunError("tokenizer 'expression.genes' has not seen training data")
        rows = np.zeros((len(records), self.size), dtype=np.float32)
        filters: dict[int, tuple[NDArray[np.int64], NDArray[np.bool_]]] = {}
        for row, record in zip(rows, records, strict=True):
            genes = record.input.genes
            if id(genes) not in filters:
                filters[id(genes)] = self._match(genes.places, len(genes.names), record)
            row[: len(self.names)] = self._features(record, *filters[id(genes)])
        return Batch(
            records=records,
            inputs={"features": Ragged.one_per_row(torch.from_numpy(rows))},
            targets=self.targets(records),
        )

    def _features(self, record: Record, feature_of: NDArray[np.int64], known: NDArray[np.bool_]) -> NDArray[np.float32]:
        values = np.zeros(len(self.names) + 1, dtype=np.float32)
        values[feature_of[record.input.columns]] = record.input.normalised()
        scaled = (values[:-1] - self.means) / self.deviations
        return np.where(known, np.clip(scaled, -LARGEST, LARGEST), 0.0)

    def _match(
        self, places: Mapping[str, int], columns: int, record: Record
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Feature of each column of a file (the last one is none), and which features the file has.

        Raises
        ------
        DataError
            If the file has less than half of the vocabulary.
        """
        feature_of = np.full(columns, len(self.names))
        known = np.zeros(len(self.names), dtype=bool)
        for feature, name in enumerate(self.names):
            place = places.get(gene_key(name))
            if place is not None:
                feature_of[place] = feature
                known[feature] = True
        coverage = known.mean()
        if coverage < LEAST_COVERAGE:
            raise DataError(
                f"{record.source}: the file has {known.sum()} of the model's {len(known)} genes ({coverage:.0%}), such as "
                f"{self.names[0]!r}; name them as the training data did (reader.genes), and check that genes are columns"
            )
        if coverage < 1:
            log.warning("%s: %d of the model's %d genes are missing", record.source, (~known).sum(), len(known))
        return feature_of, known


def _moments(records: Sequence[Record]) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64]]:
    """Genes of all files together, and over all records the sum and the sum of squares of each."""
    places: dict[str, int] = {}
    columns: dict[int, NDArray[np.int64]] = {}
    for genes in {id(record.input.genes): record.input.genes for record in records}.values():
        columns[id(genes)] = np.array([places.setdefault(gene_key(name), len(places)) for name in genes.names])
    sums, squares = np.zeros(len(places)), np.zeros(len(places))
    for record in records:
        values = record.input.normalised().astype(float)
        where = columns[id(record.input.genes)][record.input.columns]
        sums[where] += values
        squares[where] += values**2
    return list(places), sums, squares
