"""Sequences to tokens: one a residue, through the encoder's own vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from labtune.builtin.tokenizers import TargetEncoder, special_tokens
from labtune.errors import DataError, SettingsError
from labtune.protocols import IGNORED, Batch
from labtune.ragged import Ragged, offsets_of
from labtune.specs import Labels, Record
from labtune_protein.alphabet import RARE, STANDARD, UNKNOWN, clean

CONSENSUS = "consensus"


class Residues:
    """Token ids of residues, looked up in a table.

    Parameters
    ----------
    vocabulary
        A tokenizer with a token for each amino acid; rare letters that it lacks are read as ``X``.

    Raises
    ------
    SettingsError
        If an amino acid has no token of its own.
    """

    def __init__(self, vocabulary: Any) -> None:
        if vocabulary is None:
            raise SettingsError("protein tokenizers need an encoder with a vocabulary, such as protein.mini")
        known = vocabulary.get_vocab()
        missing = [letter for letter in STANDARD + UNKNOWN if letter not in known]
        if missing:
            raise SettingsError(
                f"the encoder's vocabulary has no token for amino acid {missing[0]!r}; choose a protein encoder, such "
                f"as protein.mini"
            )
        self.table = np.full(128, known[UNKNOWN], dtype=np.int64)
        for letter in STANDARD + RARE:
            self.table[ord(letter)] = known.get(letter, known[UNKNOWN])
        self.prefix, self.suffix = special_tokens(vocabulary)
        framed = vocabulary("A")["input_ids"]
        self.head, self.tail = framed[: self.prefix], framed[self.prefix + 1 :]

    def __call__(self, records: Sequence[Record]) -> Ragged:
        """Token ids ``(N,)`` with the special ones at both ends of every record."""
        rows = [np.frombuffer(record.input.encode(), dtype=np.uint8) for record in records]
        lengths = [len(row) + self.prefix + self.suffix for row in rows]
        parts = [part for row in rows for part in (self.head, self.table[row], self.tail)]
        ids = np.concatenate(parts).astype(np.int64) if parts else np.zeros(0, dtype=np.int64)
        return Ragged(torch.from_numpy(ids), offsets_of(lengths))


class SequenceTokenizer:
    """One target a sequence.

    Parameters
    ----------
    vocabulary
        The encoder's tokenizer.
    labels
        Of kind ``classes``, ``multilabel`` or ``values``.
    wild_type
        For variants of one protein: its sequence, whose states are subtracted from those of every variant; or
        ``consensus``, the most frequent letter of the training sequences at each position. Empty: nothing is
        subtracted.

    Raises
    ------
    DataError
        If a sequence has another length than the wild type.
    """

    alphabet = STANDARD

    def __init__(self, vocabulary: Any, labels: Labels, *, wild_type: str = "") -> None:
        self.residues = Residues(vocabulary)
        self.targets = TargetEncoder(labels)
        self.asked = wild_type
        self.wild_type = "" if wild_type == CONSENSUS else _cleaned(wild_type)

    def fit(self, records: Sequence[Record]) -> None:
        """Find the consensus of the training sequences, when it is asked for."""
        if self.asked == CONSENSUS:
            self.wild_type = records[0].input  # says how long all have to be
            self._require_length(records)
            columns = zip(*(record.input for record in records), strict=True)
            self.wild_type = "".join(max(sorted(set(column)), key=column.count) for column in columns)

    def state(self) -> dict[str, str]:
        """Return what was learned."""
        return {"wild_type": self.wild_type}

    def restore(self, state: dict[str, str]) -> None:
        """Take back what was learned."""
        self.wild_type = state["wild_type"]

    def __call__(self, records: Sequence[Record]) -> Batch:
        """Tokenise whole sequences; nothing is cut."""
        self._require_length(records)
        return replace(self._tokenised(records), targets=self.targets(records), reference=self._reference())

    def _reference(self) -> Batch | None:
        return self._tokenised([Record("wild type", self.wild_type)]) if self.wild_type else None

    def _tokenised(self, records: Sequence[Record]) -> Batch:
        return Batch(
            records=records,
            inputs={"input_ids": self.residues(records)},
            prefix=self.residues.prefix,
            suffix=self.residues.suffix,
        )

    def _require_length(self, records: Sequence[Record]) -> None:
        for record in records if self.wild_type else ():
            if len(record.input) != len(self.wild_type):
                raise DataError(
                    f"{record.source or 'data'}: record {record.id!r} has {len(record.input)} residues, but the wild "
                    f"type has {len(self.wild_type)}; leave it out, or unset tokenizer.wild_type"
                )


class ResidueTokenizer:
    """One target a residue.

    Parameters
    ----------
    vocabulary
        The encoder's tokenizer.
    labels
        Of kind ``classes`` or ``values``.
    """

    def __init__(self, vocabulary: Any, labels: Labels) -> None:
        self.residues = Residues(vocabulary)
        self.ids = {name: index for index, name in enumerate(labels.names)}
        self.is_class = labels.kind == "classes"

    def __call__(self, records: Sequence[Record]) -> Batch:
        """Tokenise; every residue is a unit."""
        return replace(self.unlabelled(records), targets=self._targets(records))

    def unlabelled(self, records: Sequence[Record]) -> Batch:
        """Tokenise without targets."""
        tokens = self.residues(records)
        lengths = tokens.lengths - self.residues.prefix - self.residues.suffix
        positions = [torch.arange(int(length)) + self.residues.prefix for length in lengths]
        return Batch(
            records=records,
            inputs={"input_ids": tokens},
            prefix=self.residues.prefix,
            suffix=self.residues.suffix,
            units=Ragged.from_rows(positions, dtype=torch.long),
        )

    def _targets(self, records: Sequence[Record]) -> Ragged | None:
        if any(record.target is None for record in records):
            return None
        encode, kind = (self._classes, torch.long) if self.is_class else (_numbers, torch.float32)
        return Ragged.from_rows([encode(_checked(record)) for record in records], dtype=kind)

    def _classes(self, record: Record) -> list[int]:
        try:
            return [IGNORED if name is None else self.ids[name] for name in record.target]
        except KeyError as error:
            raise DataError(
                f"{record.source or 'data'}: record {record.id!r} has label {error.args[0]!r}, which is none of "
                f"{', '.join(self.ids)}"
            ) from None


def _cleaned(written: str) -> str:
    """Bring a wild type into the letters that encoders know; raises SettingsError where it is no sequence."""
    try:
        return clean(written).sequence
    except ValueError as error:
        raise SettingsError(f"tokenizer.wild_type {error}; give a sequence, or {CONSENSUS!r}") from None


def _numbers(record: Record) -> list[list[float]]:
    return [[float("nan") if value is None else float(value)] for value in record.target]


def _checked(record: Record) -> Record:
    if not isinstance(record.target, list | tuple) or len(record.target) != len(record.input):
        found = len(record.target) if isinstance(record.target, list | tuple | str) else 1
        raise DataError(
            f"{record.source or 'data'}: record {record.id!r} has {len(record.input)} residues but {found} labels; "
            f"give one label a residue"
        )
    return record
