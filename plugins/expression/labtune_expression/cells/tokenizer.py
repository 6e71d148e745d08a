"""Profiles to one row of features a record: principal components of the genes that vary most in the training data."""

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
from labtune_expression.cells.profile import Genes, gene_key

LEAST_COVERAGE = 0.5  # of the vocabulary; a file with less is another organism, or names genes otherwise
DIGITS = 6  # of what is saved
log = logging.getLogger(__name__)

Floats = NDArray[np.float32]


class GeneTokenizer:
    """Principal components of normalised expression, or the genes themselves.

    Counts become ``log(1 + 10,000 x / total)``; other values stay. The genes with the largest variance, their means and
    the components are learned from training data. A gene that a file does not have counts as average. Components keep
    the noise of single counts out, which on small data matters more than what they lose.

    Parameters
    ----------
    vocabulary
        Not used.
    labels
        Of kind ``classes`` or ``values``.
    genes
        Size of the vocabulary, at most.
    components
        F, features a record, zero where the training data has fewer. 0: one standardised feature a gene instead.
    standardise
        Bring each gene to deviation one before components are taken, for values of unlike scale such as probes.
    """

    def __init__(
        self, vocabulary: Any, labels: Labels, *, genes: int = 3000, components: int = 50, standardise: bool = False
    ) -> None:
        if genes < 1 or components < 0:
            raise SettingsError("tokenizer.genes starts at 1 and tokenizer.components at 0")
        self.size = genes
        self.components = components
        self.standardise = standardise or not components
        self.features = components or genes
        self.targets = TargetEncoder(labels)
        self.names: tuple[str, ...] = ()
        self.means: Floats = np.zeros(0, dtype=np.float32)
        self.loadings: Floats = np.zeros((0, 0), dtype=np.float32)  # (G, F), or (G,) of single genes

    def fit(self, records: Sequence[Record]) -> None:
        """Choose genes by the variance of normalised values, and their components; raises DataError if none varies."""
        names, sums, squares = _moments(records)
        means = sums / len(records)
        deviations = np.sqrt(np.maximum(squares / len(records) - means**2, 0))
        chosen = np.sort(np.argsort(-deviations, kind="stable")[: self.size])
        chosen = chosen[deviations[chosen] > 0]
        if not len(chosen):
            raise DataError("no gene varies in the training data; check the matrix")
        self.names = tuple(names[place] for place in chosen)
        self.means = means[chosen].astype(np.float32)
        scales = 1 / deviations[chosen] if self.standardise else np.ones(len(chosen))
        self.loadings = (scales if not self.components else self._principal(records, scales)).astype(np.float32)

    def state(self) -> dict[str, Any]:
        """What ``fit`` learned, as JSON types."""
        return {
            "genes": list(self.names),
            "means": np.round(self.means.astype(float), DIGITS).tolist(),
            "loadings": np.round(self.loadings.astype(float), DIGITS).tolist(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state` gave."""
        self.names = tuple(state["genes"])
        self.means = np.array(state["means"], dtype=np.float32)
        self.loadings = np.array(state["loadings"], dtype=np.float32)

    def __call__(self, records: Sequence[Record]) -> Batch:
        """Make one row of features a record: ``{"features": (B, F)}``."""
        if not self.names:
            raise RunError("tokenizer 'expression.genes' has not seen training data")
        centred = self._centred(records).astype(float)  # (B, G); double, so that a record alone gives the same features
        found = centred @ self.loadings if self.components else centred * self.loadings
        rows = np.zeros((len(records), self.features), dtype=np.float32)
        rows[:, : found.shape[1]] = found
        inputs = {"features": Ragged.one_per_row(torch.from_numpy(rows))}
        return Batch(records=records, inputs=inputs, targets=self.targets(records))

    def _principal(self, records: Sequence[Record], scales: NDArray[np.float64]) -> NDArray[np.float64]:
        """Loadings ``(G, F)`` of the first components, such that all scores together have deviation one."""
        from sklearn.decomposition import PCA

        rows = self._centred(records) * scales
        kept = min(self.components, *rows.shape)
        scores = (pca := PCA(kept, svd_solver="randomized", random_state=0)).fit_transform(rows)
        loadings: NDArray[np.float64] = scales[:, None] * pca.components_.T / scores.std()
        return loadings

    def _centred(self, records: Sequence[Record]) -> Floats:
        """Normalised expression ``(B, G)`` of the vocabulary, around the training mean."""
        rows = np.empty((len(records), len(self.names)), dtype=np.float32)
        matches: dict[int, tuple[NDArray[np.int64], NDArray[np.bool_]]] = {}
        for row, record in zip(rows, records, strict=True):
            genes = record.input.genes
            if id(genes) not in matches:
                matches[id(genes)] = self._match(genes, record.source)
            place_of, known = matches[id(genes)]
            values = np.zeros(len(self.names) + 1, dtype=np.float32)
            values[place_of[record.input.columns]] = record.input.normalised()
            row[:] = np.where(known, values[:-1] - self.means, 0.0)
        return rows

    def _match(self, genes: Genes, source: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Place in the vocabulary of each column of a file (the last is none), and which places the file has.

        Raises
        ------
        DataError
            If the file has less than half of the vocabulary.
        """
        columns = [genes.places.get(gene_key(name), -1) for name in self.names]
        known = np.array(columns) >= 0
        place_of = np.full(len(genes.names), len(self.names))
        place_of[np.array(columns)[known]] = np.flatnonzero(known)
        if known.mean() < LEAST_COVERAGE:
            raise DataError(
                f"{source}: the file has {known.sum()} of the model's {len(known)} genes ({known.mean():.0%}); "
                f"name them as in the training data, such as {self.names[0]!r} (reader.genes); genes are columns"
            )
        if not known.all():
            log.warning("%s: %d of the model's %d genes are missing", source, (~known).sum(), len(known))
        return place_of, known


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
