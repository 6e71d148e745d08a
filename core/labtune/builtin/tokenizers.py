"""Tokenizers: records to ragged tokens and encoded targets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from labtune.errors import DataError, SettingsError
from labtune.protocols import Batch
from labtune.ragged import Ragged
from labtune.specs import Labels, Record


class TextTokenizer:
    """A text, or a pair of texts, through the encoder's own vocabulary; one target a record.

    Parameters
    ----------
    vocabulary
        The encoder's fast tokenizer.
    labels
        Of kind ``classes``, ``multilabel`` or ``values``.
    """

    def __init__(self, vocabulary: Any, labels: Labels) -> None:
        if vocabulary is None:
            raise SettingsError("tokenizer 'text' needs an encoder with a vocabulary of its own, such as minilm")
        self.vocabulary = vocabulary
        self.targets = TargetEncoder(labels)
        self.prefix, self.suffix = special_tokens(vocabulary)

    def __call__(self, records: Sequence[Record]) -> Batch:
        """Tokenise whole texts; nothing is cut."""
        firsts, seconds = zip(*[_pair(record) for record in records], strict=True)
        paired = any(second is not None for second in seconds)
        encoded = self.vocabulary(
            list(firsts),
            [second or "" for second in seconds] if paired else None,
            return_attention_mask=False,
            return_token_type_ids=paired,
            truncation=False,
            verbose=False,
        )
        names = ("input_ids", "token_type_ids") if paired else ("input_ids",)
        return Batch(
            records=records,
            inputs={name: Ragged.from_rows(encoded[name], dtype=torch.long) for name in names},
            prefix=self.prefix,
            suffix=self.suffix,
            targets=self.targets(records),
        )

    def texts(self, records: Sequence[Record]) -> Iterator[str]:
        """What the vocabulary reads."""
        return (text for record in records for text in _pair(record) if text is not None)


class TargetEncoder:
    """Encodes one truth a record: class ids ``(B,)``, zeros and ones ``(B, L)``, or numbers ``(B, L)``."""

    def __init__(self, labels: Labels) -> None:
        self.labels = labels
        self.ids = {name: index for index, name in enumerate(labels.names)}

    def __call__(self, records: Sequence[Record]) -> Ragged | None:
        """Encode the targets, or return None when any record has none."""
        if any(record.target is None for record in records):
            return None
        encode = {"classes": self._class, "multilabel": self._set}.get(self.labels.kind, self._numbers)
        return Ragged.one_per_row(torch.stack([encode(record) for record in records]))

    def _class(self, record: Record) -> torch.Tensor:
        return torch.tensor(self._id(record, record.target))

    def _set(self, record: Record) -> torch.Tensor:
        chosen = torch.zeros(len(self.ids))
        for name in record.target:
            chosen[self._id(record, name)] = 1
        return chosen

    def _numbers(self, record: Record) -> torch.Tensor:
        return torch.tensor(record.target, dtype=torch.float32).reshape(len(self.labels.names))

    def _id(self, record: Record, name: Any) -> int:
        if name not in self.ids:
            raise DataError(f"{record.source or record.id}: label {name!r} is none of {', '.join(self.ids)}")
        return self.ids[name]


def special_tokens(vocabulary: Any) -> tuple[int, int]:
    """How many special tokens a fast tokenizer puts before and after a text."""
    special = set(vocabulary.all_special_ids)
    bare = vocabulary("a", add_special_tokens=False)["input_ids"]
    whole = vocabulary("a")["input_ids"]
    inner = [position for position in range(len(whole)) if whole[position : position + len(bare)] == bare]
    if not inner or not set(whole) - set(bare) <= special:
        raise SettingsError(f"the encoder's tokenizer {type(vocabulary).__name__} adds special tokens inside a text")
    return inner[0], len(whole) - inner[0] - len(bare)


def _pair(record: Record) -> tuple[str, str | None]:
    if isinstance(record.input, str):
        return record.input, None
    first, second = record.input
    return first, second
