"""Tags and spans: every tagging scheme is read here, and the model's own tags are made here.

A tag is ``O`` or a letter and a type, ``B-PER``. Files write IO, IOB1, IOB2 or BIOES (also with the letters of BILOU,
BMES and BMEWO). All of them are read by one rule, conlleval's and seqeval's: ``B`` and ``S`` start an entity; ``I`` and
``E`` start one where nothing of their type is open; an entity lasts until the next start, ``O`` or the end. The scheme
therefore only decides which sequences count as repaired. The model's tags are always IOB2.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from labtune.specs import Span

LETTERS = {"B": "B", "I": "I", "M": "I", "E": "E", "L": "E", "S": "S", "U": "S", "W": "S"}
SCHEMES = {"io": "I", "iob1": "BI", "iob2": "BI", "bioes": "BIES"}  # scheme -> the letters it uses


class Tag(NamedTuple):
    """One parsed tag: a letter of ``OBIES`` and a type, empty for ``O``."""

    letter: str
    type: str


OUTSIDE = Tag("O", "")


def parse_tag(text: str) -> Tag:
    """Parse one tag of a file.

    Raises
    ------
    ValueError
        If the tag is neither ``O`` nor a known letter, a hyphen and a type.
    """
    if text == "O":
        return OUTSIDE
    letter, hyphen, name = text.partition("-")
    if letter not in LETTERS or not hyphen:
        raise ValueError(f"{text!r} is not a tag: expected O, or one of {'/'.join(LETTERS)} with a type, such as B-PER")
    if not name:
        raise ValueError(f"the tag {text!r} has no type: expected a name after the hyphen, such as B-PER")
    return Tag(LETTERS[letter], name)


def opens(before: Tag, tag: Tag) -> bool:
    """Say whether an entity starts at ``tag``: the rule of conlleval and of seqeval's default mode."""
    if tag.letter in "IE":
        return before.letter in "OES" or before.type != tag.type
    return tag.letter != "O"


def spans_of(tags: Sequence[Tag]) -> list[Span]:
    """Read the entities of one sentence, in order, whatever the scheme."""
    spans: list[Span] = []
    start = 0
    for index, (before, tag) in enumerate(pairwise([OUTSIDE, *tags, OUTSIDE])):
        starts = opens(before, tag)
        if before.letter != "O" and (starts or tag.letter == "O"):
            spans.append(Span(start, index, before.type))
        if starts:
            start = index
    return spans


def detect_scheme(sentences: Iterable[Sequence[Tag]]) -> str:
    """Name the scheme of a whole file.

    Any ``E`` or ``S`` means BIOES. Otherwise no ``B`` means IO; a ``B`` only ever directly behind an entity of its own
    type means IOB1; anything else is IOB2.
    """
    letters: set[str] = set()
    iob1 = True
    for tags in sentences:
        for before, tag in pairwise([OUTSIDE, *tags]):
            letters.add(tag.letter)
            iob1 = iob1 and (tag.letter != "B" or before.type == tag.type)
    if letters & {"E", "S"}:
        return "bioes"
    if "B" not in letters:
        return "io"
    return "iob1" if iob1 else "iob2"


def count_repairs(tags: Sequence[Tag], scheme: str) -> int:
    """Count the neighbours in one sentence that the scheme does not allow; :func:`spans_of` repairs them."""
    return sum(_is_illegal(before, tag, scheme) for before, tag in pairwise([OUTSIDE, *tags, OUTSIDE]))


def _is_illegal(before: Tag, tag: Tag, scheme: str) -> bool:
    if scheme == "io":
        return False
    if scheme == "iob1":
        return tag.letter == "B" and before.type != tag.type
    starts = opens(before, tag)
    unopened = tag.letter in "IE" and starts
    unclosed = scheme == "bioes" and before.letter in "BI" and (starts or tag.letter == "O")
    return unopened or unclosed


def tag_names(types: Sequence[str]) -> tuple[str, ...]:
    """Return the model's tags in output order: ``O``, then ``B-`` and ``I-`` of each type; L = 1 + 2 x types."""
    return ("O", *(f"{letter}-{name}" for name in types for letter in "BI"))


def legal_starts(types: Sequence[str]) -> np.ndarray:
    """Say which of the model's tags may open a sentence: bool ``(L,)``."""
    return np.array([not name.startswith("I-") for name in tag_names(types)])


def legal_transitions(types: Sequence[str]) -> np.ndarray:
    """Say which tag (column) may follow which (row): bool ``(L, L)``; ``I-X`` only behind ``B-X`` or ``I-X``."""
    names = tag_names(types)
    return np.array([[not after.startswith("I-") or before[2:] == after[2:] for after in names] for before in names])


def encode(spans: Iterable[Span], length: int, types: Sequence[str]) -> list[int]:
    """Write entities as the model's tags, one index a word.

    Raises
    ------
    ValueError
        If a span is empty or outside the sentence, overlaps another, or has an unknown type.
    """
    positions = {name: index for index, name in enumerate(types)}
    tags = [0] * length
    for span in spans:
        if span.label not in positions:
            raise ValueError(f"the type {span.label!r} is not among the model's: {', '.join(types)}")
        if not 0 <= span.start < span.end <= length:
            raise ValueError(f"the entity from word {span.start} to {span.end} does not lie within the {length} words")
        if any(tags[span.start : span.end]):
            raise ValueError(f"entities overlap at words {span.start} to {span.end}; nested entities are not supported")
        begin = 1 + 2 * positions[span.label]
        tags[span.start : span.end] = [begin] + [begin + 1] * (span.end - span.start - 1)
    return tags


def decode(tags: Iterable[int], types: Sequence[str]) -> list[Span]:
    """Read entities from the model's tags: the inverse of :func:`encode`, by the rule of :func:`spans_of`."""
    parsed = [parse_tag(name) for name in tag_names(types)]
    return spans_of([parsed[tag] for tag in tags])
