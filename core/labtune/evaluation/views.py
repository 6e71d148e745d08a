"""Default sections of a report for any task: scores by label, confusions, residuals, the errors most worth reading.

A view is ``view(predictions, records, labels)`` and returns sections; predictions and records go in the same order.
Tasks add their own views, and have to where labels are spans: only they know how spans sit in their input.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support
from sklearn.preprocessing import MultiLabelBinarizer

from labtune.evaluation.examples import excerpt, in_context, number
from labtune.evaluation.sections import Cell, Example, Examples, Matrix, Scatter, Section, Segment, Table
from labtune.specs import Labels, Prediction, Record

View: TypeAlias = Callable[[Sequence[Prediction], Sequence[Record], Labels], list[Section]]

WORST = 10  # examples shown
MATRIX_LABELS = 20  # labels of a confusion matrix that still fits a page; the rarer ones are pooled
PLOTS = 6  # target columns that get their own plot


class Pair(NamedTuple):
    """Truth and prediction of one unit (``position`` in its record), or of a whole record (None)."""

    truth: Any
    predicted: Any
    confidence: float | None
    row: int
    position: int | None
    target: str = "value"


def default_views(predictions: Sequence[Prediction], records: Sequence[Record], labels: Labels) -> list[Section]:
    """Choose the view by the kind of labels; none for spans, and none when nothing has a truth."""
    views: dict[str, View] = {"classes": class_view, "multilabel": multilabel_view, "values": value_view}
    known = [row for row, record in enumerate(records) if record.target is not None]
    if labels.kind not in views or not known:
        return []
    return views[labels.kind]([predictions[row] for row in known], [records[row] for row in known], labels)


def class_view(predictions: Sequence[Prediction], records: Sequence[Record], labels: Labels) -> list[Section]:
    """Scores by class, the confusion matrix, and the most confident errors."""
    pairs = [pair for pair in _pairs(predictions, records) if pair.truth is not None]
    truth = [str(pair.truth) for pair in pairs]
    predicted = [str(pair.predicted) for pair in pairs]
    names = list(dict.fromkeys([*labels.names, *truth, *predicted]))
    wrong = [pair for pair in pairs if pair.truth != pair.predicted]
    wrong.sort(key=lambda pair: -(pair.confidence or 0.0))
    scores = precision_recall_fscore_support(truth, predicted, labels=names, zero_division=np.nan)
    return [
        _label_table(names, scores, Counter(truth), Counter(predicted)),
        _confusions(truth, predicted, names),
        *_worst(wrong, records, _class_example, len(pairs)),
    ]


def multilabel_view(predictions: Sequence[Prediction], records: Sequence[Record], labels: Labels) -> list[Section]:
    """Scores by label, and the records with the most confident errors."""
    truth = [set(record.target) for record in records]
    predicted = [set(prediction.value) for prediction in predictions]
    names = list(dict.fromkeys([*labels.names, *(name for row in truth for name in sorted(row))]))
    binarizer = MultiLabelBinarizer(classes=names).fit([names])
    rows = binarizer.transform(truth), binarizer.transform(predicted)
    scores = precision_recall_fscore_support(*rows, average=None, zero_division=np.nan)
    counts = [Counter(name for row in rows for name in row) for rows in (truth, predicted)]
    wrong = [
        Pair(sorted(truth[row]), sorted(predicted[row]), _surest_error(prediction, truth[row], labels), row, None)
        for row, prediction in enumerate(predictions)
        if truth[row] != predicted[row]
    ]
    wrong.sort(key=lambda pair: -(pair.confidence or 0.0))
    return [_label_table(names, scores, *counts), *_worst(wrong, records, _set_example, len(records))]


def value_view(predictions: Sequence[Prediction], records: Sequence[Record], labels: Labels) -> list[Section]:
    """Predicted against true values, a summary of the residuals, and the largest ones."""
    pairs = list(_value_pairs(predictions, records, labels.names))
    columns: dict[str, list[Pair]] = {}
    for pair in pairs:
        columns.setdefault(pair.target, []).append(pair)
    plots = [
        Scatter(
            f"Predicted against true {name}", "true", "predicted", [(pair.truth, pair.predicted) for pair in column]
        )
        for name, column in list(columns.items())[:PLOTS]
    ]
    header = (
        "target",
        "pairs",
        "mean residual",
        "median |residual|",
        "90% of |residuals| below",
        "largest |residual|",
    )
    summary = Table(
        "Residuals", header, [_residual_row(*column) for column in columns.items()], "Predicted minus true."
    )
    pairs.sort(key=lambda pair: -abs(pair.predicted - pair.truth))
    return [*plots, summary, *_worst(pairs, records, _value_example, len(pairs))]


def _pairs(predictions: Sequence[Prediction], records: Sequence[Record]) -> Iterator[Pair]:
    """Truth beside prediction, unit by unit where a record has units."""
    for row, (prediction, record) in enumerate(zip(predictions, records, strict=True)):
        if isinstance(record.target, str) or not isinstance(record.target, Sequence | np.ndarray):
            yield Pair(record.target, prediction.value, _one(prediction.confidence), row, None)
            continue
        confidences = (
            prediction.confidence if isinstance(prediction.confidence, Sequence) else [None] * len(record.target)
        )
        triples = zip(record.target, prediction.value, confidences, strict=True)
        for position, (truth, predicted, confidence) in enumerate(triples):
            yield Pair(truth, predicted, confidence, row, position)


def _one(confidence: float | Sequence[float] | None) -> float | None:
    return None if confidence is None or isinstance(confidence, Sequence) else float(confidence)


def _value_pairs(predictions: Sequence[Prediction], records: Sequence[Record], names: Sequence[str]) -> Iterator[Pair]:
    """Known numbers beside predicted ones: of the record, of its units ``(U,)``, or of named targets ``(…, L)``."""
    for row, (prediction, record) in enumerate(zip(predictions, records, strict=True)):
        truth = np.asarray(record.target, dtype=float)
        predicted = np.asarray(prediction.value, dtype=float)
        named = truth.ndim > 0 and truth.shape[-1] == len(names) > 1
        for index in map(tuple, np.argwhere(np.isfinite(truth))):
            target = names[index[-1]] if named else "value"
            units = index[:-1] if named else index
            position = int(units[0]) if units else None
            yield Pair(float(truth[index]), float(predicted[index]), None, row, position, target)


def _label_table(names: Sequence[str], scores: Any, true: Counter[str], predicted: Counter[str]) -> Table:
    """Precision, recall and F1 of each label; a score without a case to count is left empty."""
    columns = ("label", "precision", "recall", "F1", "support", "predicted")
    rows: list[list[Cell]] = [
        [name, *(float(column[index]) for column in scores[:3]), true[name], predicted[name]]
        for index, name in enumerate(names)
    ]
    return Table("Scores by label", columns, rows, "Support: how often the label is true.")


def _confusions(truth: list[str], predicted: list[str], names: list[str]) -> Matrix:
    """Count true labels (rows) against predicted ones (columns), the rarer labels pooled when there are many."""
    note = "True labels in rows, predicted ones in columns. Shading: share of the row."
    counts = Counter([*truth, *predicted])
    if len(names) > MATRIX_LABELS:
        kept = {name for name, _ in counts.most_common(MATRIX_LABELS - 1)}
        rest = f"{len(names) - len(kept)} others"
        note += f" The rarest {rest} are pooled, so confusions among them are not seen."
        truth = [name if name in kept else rest for name in truth]
        predicted = [name if name in kept else rest for name in predicted]
        names = [*(name for name in names if name in kept), rest]
    return Matrix("Confusion matrix", names, names, confusion_matrix(truth, predicted, labels=names), note)


def _residual_row(name: str, pairs: Sequence[Pair]) -> list[Cell]:
    residual = np.array([pair.predicted - pair.truth for pair in pairs], dtype=float)
    size = np.abs(residual)
    return [name, len(pairs), residual.mean(), np.median(size), np.quantile(size, 0.9), size.max()]


def _surest_error(prediction: Prediction, truth: set[str], labels: Labels) -> float | None:
    """Probability that the head gave to its worst decision on a record; None without probabilities."""
    if prediction.probabilities is None:
        return None
    value = set(prediction.value)
    return max(
        float(chance if name in value else 1 - chance)
        for name, chance in zip(labels.names, prediction.probabilities, strict=True)
        if (name in value) != (name in truth)
    )


def _worst(
    pairs: Sequence[Pair], records: Sequence[Record], describe: Callable[[Pair, Record], Example], total: int
) -> list[Section]:
    """Describe the first pair of each of the first records; nothing when there is no pair."""
    first: dict[int, Pair] = {}
    for pair in pairs:
        first.setdefault(pair.row, pair)
    items = [describe(pair, records[row]) for row, pair in list(first.items())[:WORST]]
    note = f"The {len(items)} worst of {total:,} predictions, at most one a record."
    return [Examples("Worst errors", items, note)] if items else []


def _class_example(pair: Pair, record: Record) -> Example:
    sure = "" if pair.confidence is None else f", with confidence {pair.confidence:.2f}"
    headline = f"{pair.predicted} for {pair.truth}{sure}"
    return Example(record.id, headline, in_context(record, pair.position, str(pair.truth), str(pair.predicted)))


def _set_example(pair: Pair, record: Record) -> Example:
    extra = [name for name in pair.predicted if name not in pair.truth]
    missed = [name for name in pair.truth if name not in pair.predicted]
    parts = [f"{word} {', '.join(names)}" for word, names in (("wrongly", extra), ("missed", missed)) if names]
    return Example(record.id, "; ".join(parts), [Segment(excerpt(record.input))])


def _value_example(pair: Pair, record: Record) -> Example:
    off = pair.predicted - pair.truth
    headline = f"predicted {number(pair.predicted)} for {number(pair.truth)}, off by {number(off, sign=True)}"
    return Example(record.id, headline, in_context(record, pair.position, number(pair.truth), number(pair.predicted)))
