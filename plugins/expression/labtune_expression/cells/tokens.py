"""Profiles to sets of tokens: the genes that stand out in a cell, and how much each does."""

from __future__ import annotations

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
from labtune_expression.cells.vocabulary import GeneVocabulary, moments, vocabulary_state

START, MASK, SPECIAL = 0, 1, 2  # the token that opens every cell, the one that hides another, and where genes begin
DIGITS = 6  # of what is saved


class GeneTokens:
    """The vocabulary of tokens, with the names that pre-training knows from Hugging Face's tokenizers.

    Parameters
    ----------
    genes
        Gene ``g`` is token ``g + 2``.
    typical
        Mean normalised expression of each gene where it is not zero, ``(G,)``.
    """

    all_special_ids = (START, MASK)
    mask_token_id = MASK

    def __init__(self, genes: GeneVocabulary, typical: NDArray[np.float32]) -> None:
        self.genes = genes
        self.typical = typical

    def __len__(self) -> int:
        return len(self.genes) + SPECIAL

    def convert_ids_to_tokens(self, ids: Sequence[int]) -> list[str]:
        """Names of the genes, for explanations."""
        names = ("[cell]", "[mask]", *self.genes.names)
        return [names[number] for number in ids]

    @classmethod
    def learn(cls, records: Sequence[Record], size: int) -> GeneTokens:
        """Choose the genes that vary most in training cells."""
        found = moments(records)
        chosen = found.most_variable(size)
        return cls(found.vocabulary(chosen), found.typical[chosen].astype(np.float32))

    def state(self) -> dict[str, Any]:
        """Everything, as JSON types."""
        return {
            "genes": vocabulary_state(self.genes),
            "typical": np.round(self.typical.astype(float), DIGITS).tolist(),
        }

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> GeneTokens:
        """Take back what :meth:`state` gave."""
        return cls(GeneVocabulary(state["genes"]), np.array(state["typical"], dtype=np.float32))


class RankTokenizer:
    """The genes of a cell from the one that stands out most to the least, as Geneformer reads them.

    What counts is the normalised expression of a gene over what it typically is (Theodoris et al. 2023,
    doi:10.1038/s41586-023-06139-9). Only the order is kept, which knows no depth of sequencing.

    Parameters
    ----------
    vocabulary
        That of a pre-trained encoder, or None: it is then learned from training cells.
    labels
        Of kind ``classes`` or ``values``.
    genes
        Size of the vocabulary, at most; the encoder's option ``genes`` goes with it.
    length
        Genes of a cell that are read, at most.
    """

    name = "expression.ranks"

    def __init__(self, vocabulary: Any, labels: Labels, *, genes: int = 2000, length: int = 128) -> None:
        if genes < 1 or length < 1:
            raise SettingsError("tokenizer.genes and tokenizer.length start at 1")
        self.size = genes
        self.length = length
        self.targets = TargetEncoder(labels)
        self.pretrained = vocabulary is not None
        self.vocabulary: GeneTokens | None = vocabulary

    def fit(self, records: Sequence[Record]) -> None:
        """Learn the vocabulary, unless the encoder brought one; raises DataError if no gene varies."""
        if not self.pretrained:
            self.vocabulary = GeneTokens.learn(records, self.size)

    def state(self) -> dict[str, Any]:
        """What ``fit`` learned, as JSON types."""
        return self._known().state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state` gave."""
        self.vocabulary = GeneTokens.restored(state)

    def __call__(self, records: Sequence[Record]) -> Batch:
        """Make tokens ``(N,)``, each record opened by a special one."""
        rows = [self._tokens(record)[0] for record in records]
        inputs = {"input_ids": Ragged.from_rows(rows, dtype=torch.long)}
        return Batch(records=records, inputs=inputs, prefix=1, targets=self.targets(records))

    def _known(self) -> GeneTokens:
        if self.vocabulary is None:
            raise RunError(f"tokenizer {self.name!r} has not seen training data")
        return self.vocabulary

    def _tokens(self, record: Record) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Token ids and normalised values of a cell, ``(1 + K,)``, those that stand out most first."""
        known, profile = self._known(), record.input
        if profile.genes.state == "scaled":
            raise DataError(
                f"{record.source}: tokenizer {self.name!r} needs counts or log-normalised values, not scaled ones; "
                f"set reader.matrix, or use the tokenizer expression.genes"
            )
        places = known.genes.match(profile.genes).place_of[profile.columns]
        ours = places < len(known.genes)
        places, values = places[ours], profile.normalised()[ours]
        order = np.argsort(-self._weight(values, known.typical[places]), kind="stable")[: self.length]
        tokens = np.concatenate([[START], places[order] + SPECIAL])
        return tokens, np.concatenate([[0], values[order]]).astype(np.float32)

    def _weight(self, values: NDArray[np.float32], typical: NDArray[np.float32]) -> NDArray[np.float32]:
        """By what genes are ordered."""
        return (values / np.maximum(typical, 1e-6)).astype(np.float32)


class BinTokenizer(RankTokenizer):
    """The genes of a cell with most expression, each with the bin that its value falls in, as scGPT reads them.

    Bins hold equally many values of the training cells; 0 is the special token's.

    Parameters
    ----------
    vocabulary, labels, genes, length
        As for :class:`RankTokenizer`.
    bins
        Their number; the encoder's option ``levels`` is at least that.
    """

    name = "expression.bins"

    def __init__(
        self, vocabulary: Any, labels: Labels, *, genes: int = 2000, length: int = 128, bins: int = 16
    ) -> None:
        super().__init__(vocabulary, labels, genes=genes, length=length)
        if bins < 1:
            raise SettingsError("tokenizer.bins starts at 1")
        self.bins = bins
        self.edges: NDArray[np.float32] = np.zeros(0, dtype=np.float32)

    def fit(self, records: Sequence[Record]) -> None:
        """Learn the vocabulary and the edges of the bins."""
        super().fit(records)
        values = np.concatenate([self._tokens(record)[1][1:] for record in records])
        if not len(values):
            raise DataError("the training cells have none of the model's genes; check the matrix")
        self.edges = np.quantile(values, np.arange(1, self.bins) / self.bins).astype(np.float32)

    def state(self) -> dict[str, Any]:
        """What ``fit`` learned, as JSON types."""
        return {**super().state(), "edges": self.edges.astype(float).tolist()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state` gave."""
        super().restore(state)
        self.edges = np.array(state["edges"], dtype=np.float32)

    def __call__(self, records: Sequence[Record]) -> Batch:
        """Make tokens and levels ``(N,)``, each record opened by a special one."""
        found = [self._tokens(record) for record in records]
        levels = [np.searchsorted(self.edges, values, side="right") + 1 for _, values in found]
        for row in levels:
            row[0] = 0
        inputs = {
            "input_ids": Ragged.from_rows([tokens for tokens, _ in found], dtype=torch.long),
            "levels": Ragged.from_rows(levels, dtype=torch.long),
        }
        return Batch(records=records, inputs=inputs, prefix=1, targets=self.targets(records))

    def _weight(self, values: NDArray[np.float32], typical: NDArray[np.float32]) -> NDArray[np.float32]:
        return values
