"""Sequences to tokens, with one target for every pair of residues."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from labtune.protocols import IGNORED, Batch
from labtune.ragged import Ragged
from labtune.specs import Labels, Record
from labtune_protein.contacts import SEPARATION
from labtune_protein.tokenizing import ResidueTokenizer


class PairTokenizer:
    """Units are residues; targets are pairs i < j, row by row of the upper triangle: ``(P,)`` int8.

    The class of a pair is its distance bin, or the number of bins when it is far; pairs with an unresolved residue and
    pairs less than six apart are ignored.

    Parameters
    ----------
    vocabulary
        The encoder's tokenizer.
    labels
        Names of the distance bins.
    """

    def __init__(self, vocabulary: Any, labels: Labels) -> None:
        self.residues = ResidueTokenizer(vocabulary, labels)
        self.ids = {name: index for index, name in enumerate(labels.names)}

    def __call__(self, records: Sequence[Record]) -> Batch:
        """Tokenise; P is L (L - 1) / 2 for a record of L residues."""
        batch = self.residues.unlabelled(records)
        known = all(record.target is not None for record in records)
        targets = Ragged.from_rows([self._encode(record) for record in records]) if known else None
        return replace(batch, targets=targets)

    def _encode(self, record: Record) -> torch.Tensor:
        size = len(record.input)
        classes = np.full((size, size), len(self.ids), dtype=np.int8)
        for first, second, name in record.target:
            classes[first, second] = self.ids[name]
        hidden = unresolved(record)
        classes[hidden] = IGNORED
        classes[:, hidden] = IGNORED
        rows, columns = np.triu_indices(size, 1)
        found = classes[rows, columns]
        found[columns - rows < SEPARATION] = IGNORED
        return torch.from_numpy(found)


def unresolved(record: Record) -> np.ndarray:
    """Residues without coordinates: ``(L,)`` bool; none where the record does not say."""
    resolved = str(record.columns.get("resolved") or "1" * len(record.input))
    return np.array([letter == "0" for letter in resolved], dtype=bool)
