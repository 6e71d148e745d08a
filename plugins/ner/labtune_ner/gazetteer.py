"""The baseline of entity tasks: names learned by heart."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from labtune.specs import Labels, Prediction, Record, Span
from labtune_ner.words import words_of

Name = tuple[str, ...]


def fit(records: Sequence[Record], labels: Labels) -> Callable[[Sequence[Record]], list[Prediction]]:
    """Learn every entity of the training data with its most frequent type, as the baseline of CoNLL-2003 did.

    From left to right the longest known name is taken (Tjong Kim Sang and De Meulder 2003); of types equally frequent,
    the one seen first.

    Parameters
    ----------
    records
        Training data.
    labels
        Not needed: the types come from the records.

    Returns
    -------
    callable
        From records to predictions.
    """
    types: defaultdict[Name, Counter[str]] = defaultdict(Counter)
    for record in records:
        words = _words(record)
        for span in record.target:
            types[words[span.start : span.end]][span.label] += 1
    known = {name: found.most_common(1)[0][0] for name, found in types.items()}
    longest = max(map(len, known), default=0)
    return lambda unseen: [Prediction(record.id, _match(_words(record), known, longest)) for record in unseen]


def _words(record: Record) -> Name:
    text, offsets = words_of(record)
    return tuple(text[start:end] for start, end in offsets)


def _match(words: Name, known: dict[Name, str], longest: int) -> list[Span]:
    spans: list[Span] = []
    start = 0
    while start < len(words):
        ends = range(min(start + longest, len(words)), start, -1)
        end = next((end for end in ends if words[start:end] in known), None)
        if end is not None:
            spans.append(Span(start, end, known[words[start:end]]))
        start = end or start + 1
    return spans
