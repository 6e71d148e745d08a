"""What a reader sees of a record's tokens, and by which symbols they can be replaced."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from labtune.errors import SettingsError
from labtune.explain.scoring import Scorer
from labtune.protocols import Batch
from labtune.ragged import Ragged
from labtune.specs import Record

HIDDEN = "hidden"


def pieces(tokenizer: Any, batch: Batch, row: int) -> list[str]:
    """Text of each token of a record, special ones at its ends left out.

    A tokenizer may say itself what its tokens stand for, with ``pieces(record)``; one with a vocabulary is asked for
    the words of the ids, and where each token is a letter of the input it is that letter.
    """
    record = batch.records[row]
    own = getattr(tokenizer, "pieces", None)
    if own is not None:
        return list(own(record))
    ids = batch.tokens[row]
    inner = ids[batch.prefix : len(ids) - batch.suffix]
    vocabulary = getattr(tokenizer, "vocabulary", None)
    if vocabulary is not None:
        return [_plain(word) for word in vocabulary.convert_ids_to_tokens(inner.tolist())]
    if isinstance(record.input, str) and len(record.input) == len(inner):
        return list(record.input)
    return [f"token {place + 1}" for place in range(len(inner))]


def _plain(word: str) -> str:
    """Take the marks of word starts off a token."""
    return word.replace("Ġ", " ").replace("▁", " ")


@dataclass(frozen=True)
class Substitutes:
    """A record with each of its pieces replaced by each symbol.

    Parameters
    ----------
    pieces
        The T pieces as they are.
    symbols
        The A symbols; a piece that is a symbol is not replaced by itself.
    places
        For each of the K changed records the piece and the symbol.
    batches
        The changed records in this order, tokenised when they are asked for: of a long record all together would fill
        the memory.
    """

    pieces: Sequence[str]
    symbols: tuple[str, ...]
    places: Sequence[tuple[int, int]]
    batches: Iterator[Batch]


def substitutes(scorer: Scorer, record: Record) -> Substitutes:
    """Replace letters of the input by the letters of the tokenizer's ``alphabet``, or else tokens by a hidden one.

    Raises
    ------
    SettingsError
        If the tokenizer has neither an alphabet nor a vocabulary.
    """
    alphabet = getattr(scorer.tokenizer, "alphabet", None)
    if alphabet is not None and isinstance(record.input, str):
        return _letters(scorer, record, tuple(alphabet))
    if getattr(scorer.tokenizer, "vocabulary", None) is not None:
        return _tokens(scorer, record)
    raise SettingsError("the task's tokenizer names no alphabet to substitute from: use --method gradients")


def _letters(scorer: Scorer, record: Record, symbols: tuple[str, ...]) -> Substitutes:
    text: str = record.input
    places = [
        (place, number)
        for place, letter in enumerate(text)
        for number, symbol in enumerate(symbols)
        if symbol != letter
    ]

    def changed(place: int, number: int) -> Record:
        return replace(record, input=text[:place] + symbols[number] + text[place + 1 :])

    batches = (scorer.tokenise([changed(*one) for one in some]) for some in _cut(places, len(text), scorer))
    return Substitutes(list(text), symbols, places, batches)


def _tokens(scorer: Scorer, record: Record) -> Substitutes:
    batch = scorer.tokenise([record])
    hidden = _hidden(scorer.tokenizer.vocabulary)
    parts = pieces(scorer.tokenizer, batch, 0)
    name = next(iter(batch.inputs))
    places = [(place, 0) for place in range(len(parts))]

    def changed(some: Sequence[tuple[int, int]]) -> Batch:
        many = batch.select([0] * len(some))
        rows = [ids.clone() for ids in many.tokens]
        for ids, (place, _) in zip(rows, some, strict=True):
            ids[batch.prefix + place] = hidden
        return replace(many, inputs={**many.inputs, name: Ragged.from_rows(rows)})

    batches = (changed(some) for some in _cut(places, len(batch.tokens.values), scorer))
    return Substitutes(parts, (HIDDEN,), places, batches)


def _hidden(vocabulary: Any) -> int:
    """The token that hides another; raises SettingsError when there is none."""
    names = ("mask_token_id", "unk_token_id", "pad_token_id")
    found = [number for name in names if (number := getattr(vocabulary, name, None)) is not None]
    if not found:
        raise SettingsError("the encoder's vocabulary has no mask, unknown or padding token: use --method gradients")
    return int(found[0])


def _cut(places: Sequence[tuple[int, int]], length: int, scorer: Scorer) -> Iterator[Sequence[tuple[int, int]]]:
    """Cut the changes of a record with so many tokens into what fits a forward pass."""
    size = max(1, scorer.batch_tokens // max(1, length))
    return (places[start : start + size] for start in range(0, len(places), size))
