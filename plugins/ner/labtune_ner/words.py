"""Words: where they lie in a text, and which subword of the encoder stands for each."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from labtune.errors import DataError, SettingsError
from labtune.protocols import Batch
from labtune.ragged import Ragged, offsets_of
from labtune.specs import Labels, Record
from labtune_ner.shapes import SHAPES, shape_of
from labtune_ner.tags import encode

# Combining marks belong to the letter before them, but Python's \w leaves them out.
_MARKS = "".join(chr(code) for code in range(0x300, 0x10000) if unicodedata.category(chr(code))[0] == "M")
_LETTER = r"[^\W\d_]"
_CHINESE = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"  # Han, Hiragana, Katakana
_WORD = re.compile(
    rf"[{_CHINESE}]"  # one character
    rf"|(?:{_LETTER}\.){{2,}}"  # U.S.
    r"|\d+(?:[.,:]\d+)*"  # 1,250.50
    r"|['\u2019]s\b"  # of Anna's
    rf"|(?:(?![{_CHINESE}])[^\W_][{_MARKS}\u200c\u200d]*)+"  # letters and digits
    r"|\S"  # anything else on its own
)


def split_words(text: str) -> list[tuple[int, int]]:
    """Split a text into words, numbers, single punctuation marks and single Chinese or Japanese characters.

    Returns
    -------
    list of tuple
        Start and end (excluded) of each word, in characters.
    """
    return [match.span() for match in _WORD.finditer(text)]


class Words(NamedTuple):
    """The words of a record and where they lie in its text."""

    text: str
    offsets: list[tuple[int, int]]

    def between(self, start: int, end: int) -> tuple[int, int]:
        """Characters from word ``start`` to before word ``end``."""
        return self.offsets[start][0], self.offsets[end - 1][1]


def words_of(record: Record) -> Words:
    """Return the words of a text, or of a list of words as if joined by blanks."""
    if isinstance(record.input, str):
        return Words(record.input, split_words(record.input))
    offsets, position = [], 0
    for word in record.input:
        offsets.append((position, position + len(word)))
        position += len(word) + 1
    return Words(" ".join(record.input), offsets)


class Alignment(NamedTuple):
    """Tokens of words: ids ``(N,)``, each first subword's position in its record ``(U,)``, each token's word ``(N,)``.

    Words are numbered through all records; special tokens belong to word -1.
    """

    ids: Ragged
    units: Ragged
    owners: np.ndarray


class WordTokenizer:
    """Lists of words, or texts, through the encoder's vocabulary; the first subword of each word stands for it.

    Nothing is cut. A word that the vocabulary leaves without a subword (a lone control character, a variation selector)
    is read as the unknown token, so that words and units stay aligned. Where the vocabulary ignores case and the
    encoder can learn further segments, the shape of each word goes in as the segment of its tokens.

    Parameters
    ----------
    vocabulary
        The encoder's fast tokenizer.
    labels
        Of kind ``spans``; targets are the tags of :func:`labtune_ner.tags.tag_names`.

    Attributes
    ----------
    kinds
        Shapes that the vocabulary does not tell apart; 0 for a vocabulary that heeds case.
    first_kind
        Segment of the first of them; None where the encoder has none for them.
    """

    def __init__(self, vocabulary: Any, labels: Labels) -> None:
        if vocabulary is None:
            raise SettingsError("tokenizer 'ner.words' needs an encoder with a vocabulary of its own, such as minilm")
        self.vocabulary = vocabulary
        self.labels = labels
        self.unknown = vocabulary.unk_token or vocabulary.mask_token
        self.lead = ""
        self.lead = self._lead()
        empty = self._encode([["a"]])[0].word_ids
        self.prefix = empty.index(0)
        self.suffix = empty[::-1].index(0)
        self.kinds = len(SHAPES) if self._ignores_case() else 0
        self.first_kind: int | None = None

    def __call__(self, records: Sequence[Record]) -> Batch:
        """Tokenise; ``units`` holds the position of the first subword of each word."""
        words = [_list_of(record) for record in records]
        found = self._align(words)
        lengths = [len(row) for row in words]
        for row in np.flatnonzero(found.units.lengths.numpy() != lengths):
            words[row] = [word if self._has_subword(word) else self.unknown for word in words[row]]
        if found.units.lengths.tolist() != lengths:
            found = self._align(words)
        return Batch(
            records=records,
            inputs={"input_ids": found.ids, **self._segments(records, found)},
            prefix=self.prefix,
            suffix=self.suffix,
            units=found.units,
            targets=self._targets(records, words),
        )

    def texts(self, records: Sequence[Record]) -> Iterator[str]:
        """What the vocabulary reads."""
        return (word for record in records for word in _list_of(record))

    @property
    def usage(self) -> str:
        """What a user of the encoder without this tokenizer has to know; empty when there is nothing."""
        if self.first_kind is None:
            return ""
        kinds = ", ".join(f"{number} for {name}" for number, name in enumerate(SHAPES, start=self.first_kind))
        return (
            "This model reads the case of words, which its vocabulary ignores, as token_type_ids: 0 for words without "
            f"a capital and for special tokens, {kinds} (a single letter), the same for all pieces of a word. Without "
            "them it finds fewer names; a run with encoder_options.word_shapes=false does not need them."
        )

    def state(self) -> dict[str, int | None]:
        """Return what was agreed with the encoder."""
        return {"first_kind": self.first_kind}

    def restore(self, state: dict[str, int | None]) -> None:
        """Take it back."""
        self.first_kind = state["first_kind"]

    def _ignores_case(self) -> bool:
        upper, lower = (encoding.ids for encoding in self._encode([["A"], ["a"]]))
        return bool(upper == lower)

    def _segments(self, records: Sequence[Record], found: Alignment) -> dict[str, Ragged]:
        """Segments ``(N,)`` by the shapes of words; special tokens and words without a capital are in segment 0."""
        if self.first_kind is None:
            return {}
        words = (word for record in records for word in _list_of(record))
        shapes = np.array([*map(shape_of, words), 0])  # the last for special tokens
        kinds = np.where(shapes > 0, self.first_kind - 1 + shapes, 0)
        return {"token_type_ids": found.ids.with_values(torch.from_numpy(kinds[found.owners]))}

    def _lead(self) -> str:
        """Find what goes before each word: a blank where the vocabulary would else take it for the inside of a word."""
        bare, led = (encoding.ids for encoding in self._encode([["a"], [" a"]]))
        return " " if bare != led and len(bare) == len(led) else ""

    def _encode(self, words: Sequence[Sequence[str]]) -> list[Any]:
        encoded = self.vocabulary(
            [[self.lead + word for word in row] for row in words],
            is_split_into_words=True,
            add_special_tokens=True,
            truncation=False,
            padding=False,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,
        )
        return list(encoded.encodings)

    def _align(self, words: Sequence[Sequence[str]]) -> Alignment:
        encodings = self._encode(words) if words else []
        ids = Ragged.from_rows([encoding.ids for encoding in encodings], dtype=torch.long)
        owners = [-1 if owner is None else owner for encoding in encodings for owner in encoding.word_ids]
        owner = np.array(owners, dtype=np.int64)
        record = ids.segment_ids.numpy()
        first = np.flatnonzero((owner >= 0) & ((np.diff(owner, prepend=-1) != 0) | (np.diff(record, prepend=-1) != 0)))
        positions = first - ids.offsets.numpy()[record[first]]
        lengths = np.bincount(record[first], minlength=len(ids))
        before = np.cumsum([0, *map(len, words)])[record]  # words of the records before
        units = Ragged(torch.from_numpy(positions), offsets_of(torch.from_numpy(lengths)))
        return Alignment(ids, units, np.where(owner >= 0, owner + before, -1))

    def _has_subword(self, word: str) -> bool:
        return 0 in self._encode([[word]])[0].word_ids

    def _targets(self, records: Sequence[Record], words: Sequence[Sequence[str]]) -> Ragged | None:
        if any(record.target is None for record in records):
            return None
        rows = [self._tags(record, len(row)) for record, row in zip(records, words, strict=True)]
        return Ragged.from_rows(rows, dtype=torch.long)

    def _tags(self, record: Record, length: int) -> list[int]:
        try:
            return encode(record.target, length, self.labels.names)
        except ValueError as error:
            raise DataError(f"{record.source or 'data'}: record {record.id!r}: {error}") from None


def _list_of(record: Record) -> list[str]:
    if isinstance(record.input, str):
        return [record.input[start:end] for start, end in split_words(record.input)]
    return list(record.input)
