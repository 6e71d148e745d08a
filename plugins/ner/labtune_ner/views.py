"""Sections of the report for entity tasks: scores by type, scores by tag, confusions, and errors in their sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from sklearn.metrics import precision_recall_fscore_support

from labtune.evaluation.sections import Cell, Example, Examples, Matrix, Section, Segment, Table
from labtune.specs import Labels, Prediction, Record, Span
from labtune_ner.metrics import EntityScores, precision_recall_f1
from labtune_ner.tags import encode, tag_names
from labtune_ner.words import words_of

WORST = 10  # sentences shown
SCORES = ("precision", "recall", "F1", "support")
NOTHING = "no entity"
ENTITY_NOTE = "An entity is right when both its ends and its type are right. Support: entities in the truth."
TAG_NOTE = (
    "Quote the entity F1, not these averages: {share:.0%} of the words are O, so the micro average is high for a model "
    "that finds little, and a tag can be right where its entity is cut short."
)
CONFUSION_NOTE = (
    "True types in rows, predicted ones in columns, for entities whose ends are right; the rest is missed or invented."
)


def entity_view(predictions: Sequence[Prediction], records: Sequence[Record], labels: Labels) -> list[Section]:
    """Precision, recall and F1 of each type and over all types, and which types are taken for which."""
    totals = EntityScores(labels).parts(predictions, records).sum(0)
    right, predicted, true = totals.reshape(3, -1)
    each = np.stack([*precision_recall_f1(right, predicted, true), true])  # (4, K)
    micro = [*precision_recall_f1(right.sum(), predicted.sum(), true.sum()), true.sum()]
    occurs = (predicted + true) > 0
    macro = [*(each[:3, occurs].mean(1) if occurs.any() else np.zeros(3)), true.sum()]
    rows = [_row(name, column) for name, column in zip(labels.names, each.T, strict=True)]
    rows += [_row("micro average", micro), _row("macro average", macro)]
    return [
        Table("Scores by entity type", ("type", *SCORES), rows, ENTITY_NOTE),
        _confusions(predictions, records, labels),
    ]


def tag_view(predictions: Sequence[Prediction], records: Sequence[Record], labels: Labels) -> list[Section]:
    """Scores of every tag as scikit-learn's classification report has them, and why not to quote their average."""
    true, predicted = (
        [tag for row in rows for tag in row] for rows in zip(*_tags(predictions, records, labels), strict=True)
    )
    names = tag_names(labels.names)
    options = {"labels": range(len(names)), "zero_division": 0}
    each = np.stack(precision_recall_fscore_support(true, predicted, **options))  # (4, L)
    rows = [_row(name, column) for name, column in zip(names, each.T, strict=True)]
    for average in ("micro", "macro", "weighted"):
        scores = precision_recall_fscore_support(true, predicted, average=average, **options)[:3]
        rows.append(_row(f"{average} average", [*scores, len(true)]))
    note = TAG_NOTE.format(share=each[3, 0] / max(len(true), 1))
    return [Table("Scores by tag", ("tag", *SCORES), rows, note)]


def error_view(predictions: Sequence[Prediction], records: Sequence[Record], labels: Labels) -> list[Section]:
    """Sentences with the most wrong entities, the surest mistakes first among equals."""
    wrong = [
        (len(missed) + len(invented), _surest(prediction, invented), prediction, record)
        for prediction, record in zip(predictions, records, strict=True)
        for missed, invented in [_differences(prediction, record)]
        if missed or invented
    ]
    wrong.sort(key=lambda entry: entry[:2], reverse=True)
    items = [_example(prediction, record) for _, _, prediction, record in wrong[:WORST]]
    note = f"{len(wrong):,} of {len(records):,} sentences have a wrong entity; these have the most."
    return [Examples("Worst errors", items, note)] if items else []


def _row(name: str, scores: Sequence[float] | np.ndarray) -> list[Cell]:
    return [name, *(float(score) for score in scores[:3]), int(scores[3])]


def _tags(
    predictions: Sequence[Prediction], records: Sequence[Record], labels: Labels
) -> Iterator[tuple[list[int], list[int]]]:
    """Yield the true and the predicted tags of each record."""
    for prediction, record in zip(predictions, records, strict=True):
        length = len(words_of(record).offsets)
        yield encode(record.target, length, labels.names), encode(prediction.value, length, labels.names)


def _confusions(predictions: Sequence[Prediction], records: Sequence[Record], labels: Labels) -> Matrix:
    counts: Counter[tuple[str, str]] = Counter()
    for prediction, record in zip(predictions, records, strict=True):
        true = {span[:2]: span.label for span in record.target}
        predicted = {span[:2]: span.label for span in prediction.value}
        for place in true.keys() | predicted.keys():
            counts[true.get(place, NOTHING), predicted.get(place, NOTHING)] += 1
    names = (*labels.names, NOTHING)
    values = [[counts[row, column] for column in names] for row in names]
    return Matrix("Confusion of entity types", names, names, values, CONFUSION_NOTE)


def _differences(prediction: Prediction, record: Record) -> tuple[set[Span], set[Span]]:
    """Entities that were missed, and entities that are not there."""
    true, predicted = set(record.target), set(prediction.value)
    return true - predicted, predicted - true


def _surest(prediction: Prediction, invented: set[Span]) -> float:
    confidences = prediction.confidence if isinstance(prediction.confidence, Sequence) else []
    wrong = [sure for span, sure in zip(prediction.value, confidences, strict=False) if span in invented]
    return max(wrong, default=0.0)


def _example(prediction: Prediction, record: Record) -> Example:
    missed, invented = _differences(prediction, record)
    return Example(record.id, f"{len(missed)} missed, {len(invented)} invented", _segments(prediction, record))


def _segments(prediction: Prediction, record: Record) -> list[Segment]:
    """Cut the text wherever a true or predicted entity starts or ends; a piece of one says which it is a piece of."""
    words = words_of(record)
    true, predicted = (
        [(*words.between(span.start, span.end), span.label) for span in spans]
        for spans in (record.target, prediction.value)
    )
    cuts = sorted({0, len(words.text), *(end for place in (*true, *predicted) for end in place[:2])})
    return [
        Segment(words.text[start:end], *(_label_of((start, end), places, words.text) for places in (true, predicted)))
        for start, end in pairwise(cuts)
    ]


def _label_of(piece: tuple[int, int], places: Sequence[tuple[int, int, str]], text: str) -> str | None:
    """Label of the entity that a piece of text is, or with its words of the entity that it is a part of."""
    for start, end, label in places:
        if start <= piece[0] < end:
            return label if (start, end) == piece else f"{label} “{text[start:end]}”"
    return None
