"""Nucleotide sequences to ragged tokens: single letters, k-mers, or the subwords of a pre-trained model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from labtune.builtin.tokenizers import TargetEncoder, TextTokenizer
from labtune.errors import DataError, SettingsError
from labtune.protocols import Batch
from labtune.ragged import Ragged
from labtune.specs import Labels, Record
from labtune_expression.alphabet import BASES, encode, normalise


class NucleotideTokenizer:
    """One token a letter: the ids of :data:`labtune_expression.alphabet.LETTERS`, no special tokens.

    Parameters
    ----------
    vocabulary
        Not used: the letters are fixed.
    labels
        Of kind ``classes`` or ``values``.
    """

    alphabet = BASES
    normalise = staticmethod(normalise)

    def __init__(self, vocabulary: Any, labels: Labels) -> None:
        if vocabulary is not None:
            raise SettingsError(
                "tokenizer 'expression.nucleotides' does not go with an encoder that has a vocabulary of its own: "
                "set tokenizer.name to 'expression.subwords'"
            )
        self.targets = TargetEncoder(labels)

    def __call__(self, records: Sequence[Record]) -> Batch:
        """Tokenise whole sequences, of any lengths."""
        rows = [self.ids(encode(record.input, where(record)), record) for record in records]
        return Batch(
            records=records,
            inputs={"input_ids": Ragged.from_rows(rows, dtype=torch.long)},
            targets=self.targets(records),
        )

    def ids(self, letters: NDArray[np.uint8], record: Record) -> NDArray[Any]:
        """Token ids of one sequence of letters ``(T,)``."""
        return letters


class KmerTokenizer(NucleotideTokenizer):
    """Every k letters one token: ids from 0 to 4^k - 1 in alphabetical order; 4^k where a letter is ambiguous.

    Parameters
    ----------
    vocabulary, labels
        As for :class:`NucleotideTokenizer`.
    k
        Letters of a token, 1 to 8.
    stride
        Letters from one token to the next: 1 overlaps them, ``k`` does not.
    """

    def __init__(self, vocabulary: Any, labels: Labels, *, k: int = 6, stride: int = 1) -> None:
        super().__init__(vocabulary, labels)
        if not 1 <= k <= 8:
            raise SettingsError(f"tokenizer.k is {k}; it goes from 1 to 8")
        if stride < 1:
            raise SettingsError(f"tokenizer.stride is {stride}; it starts at 1")
        self.k = k
        self.stride = stride

    def ids(self, letters: NDArray[np.uint8], record: Record) -> NDArray[Any]:
        """Token ids ``(1 + (T - k) // stride,)`` of letters ``(T,)``."""
        if len(letters) < self.k:
            raise DataError(
                f"{where(record)}: {len(letters)} letters are too few for tokenizer.k={self.k}; remove the record"
            )
        return kmer_ids(letters, self.k)[:: self.stride]

    def pieces(self, record: Record) -> list[str]:
        """The letters of each token."""
        starts = range(0, len(record.input) - self.k + 1, self.stride)
        return [record.input[start : start + self.k] for start in starts]


class SubwordTokenizer(TextTokenizer):
    """Sequences through the vocabulary of a pre-trained nucleotide model, after the letters were checked."""

    alphabet = BASES
    normalise = staticmethod(normalise)

    def __call__(self, records: Sequence[Record]) -> Batch:
        """Tokenise whole sequences in upper case."""
        batch = super().__call__([replace(record, input=normalise(record.input, where(record))) for record in records])
        return replace(batch, records=records)


def kmer_ids(letters: NDArray[np.uint8], k: int) -> NDArray[np.int64]:
    """Ids ``(T - k + 1,)`` of all overlapping k-mers of letters ``(T,)``; none when T is below k."""
    if len(letters) < k:
        return np.empty(0, dtype=np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(letters, k)  # (T - k + 1, k)
    ids: NDArray[np.int64] = windows @ (len(BASES) ** np.arange(k - 1, -1, -1))
    return np.where((windows < len(BASES)).all(1), ids, len(BASES) ** k)


def where(record: Record) -> str:
    """Name a record in messages."""
    return f"{record.source}: record {record.id!r}" if record.source else f"record {record.id!r}"
