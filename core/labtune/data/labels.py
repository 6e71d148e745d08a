"""Truth: from what a file says to the types of the task's labels, and the label names of a run."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from labtune.errors import DataError, nearest
from labtune.specs import Labels, Record, Span


def parse_target(record: Record, labels: Labels) -> Record:
    """Return the record with its target in the types that :class:`labtune.specs.Record` promises.

    Numbers and lists may be text, as in a CSV file: ``"0.5"``, ``"a;b"`` for several labels, or any JSON list. Class
    names become text, so that ``1`` of a JSON file and ``"1"`` of a CSV file are one label.

    Raises
    ------
    DataError
        If the target is missing or does not fit the kind of labels.
    """
    target = record.target.tolist() if hasattr(record.target, "tolist") else record.target
    if isinstance(target, str):
        target = _from_text(target.strip(), labels, record)
    if target is None:
        raise DataError(f"{_where(record)}: no label; add one or remove the record")
    try:
        return replace(record, target=_PARSERS[labels.kind](target))
    except (TypeError, ValueError) as error:
        raise DataError(f"{_where(record)}: the target {_short(record.target)} {error}") from None


def resolve_labels(labels: Labels, train: Sequence[Record]) -> Labels:
    """Complete the label names from training data.

    Names that the task declares stay. Otherwise classes, label sets and spans take the names that occur, sorted.
    Numbers take ``value``, or ``value_1`` to ``value_K`` where every target is a list of the same K numbers; a task
    with a number for each unit declares its one name, because its lists may happen to be equally long.

    Raises
    ------
    DataError
        If no training record has a label.
    """
    if labels.names:
        return labels
    if labels.kind == "values":
        return replace(labels, names=_value_names(train))
    names = sorted({name for record in train for name in label_names(record)})
    if not names:
        raise DataError("the training data hold no label; check the target column")
    return replace(labels, names=tuple(names))


def check_labels(labels: Labels, records: Sequence[Record], split: str) -> list[str]:
    """Check that every label of a split is one that the model can predict.

    Returns
    -------
    list of str
        Warnings: for ``split="train"``, the declared labels without an example.

    Raises
    ------
    DataError
        If a record has a label that is not in ``labels.names``.
    """
    if labels.kind == "values":
        return []
    known, seen = set(labels.names), Counter[str]()
    for record in records:
        seen.update(label_names(record))
        for name in label_names(record):
            if name not in known:
                raise DataError(
                    f"{_where(record)}: label {name!r} of the {split} data is not among the labels to train for. "
                    f"{nearest(name, known)} Correct it, or add training records with it"
                )
    missing = [name for name in labels.names if not seen[name]] if split == "train" else []
    return [f"label {name!r} has no training example, so the model cannot learn it" for name in missing]


def label_names(record: Record) -> Iterator[str]:
    """Yield the label names of one record, once for each unit or span; nothing for numbers and missing truth."""
    items = record.target if isinstance(record.target, (list, tuple)) else [record.target]
    for item in items:
        name = item.label if isinstance(item, Span) else item
        if isinstance(name, str):
            yield name


def _from_text(text: str, labels: Labels, record: Record) -> Any:
    if text.startswith("[") and labels.kind != "classes":
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise DataError(f"{_where(record)}: the target is not a JSON list: {error.msg}") from None
    if labels.kind == "multilabel":
        return [name.strip() for name in text.split(";") if name.strip()]
    return text or None


def _class(target: Any) -> Any:
    if isinstance(target, (list, tuple)):
        return [None if name is None or name == "" else _name(name) for name in target]
    return _name(target)


def _name(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():  # an integer column with gaps, as tables store it
        value = int(value)
    if not isinstance(value, (str, int)) or value == "":
        raise TypeError("is not the name of a class")
    return str(value)


def _names(target: Any) -> list[str]:
    if not isinstance(target, (list, tuple)):
        raise TypeError("is not a list of labels; write 'a;b' or a JSON list")
    return [_name(name) for name in target]


def _number(value: Any) -> float:
    number = math.nan if isinstance(value, (bool, list, tuple, dict)) else float(value)
    if not math.isfinite(number):
        raise ValueError("is not a finite number")
    return number


def _numbers(target: Any) -> Any:
    """One number, or a list in which None and NaN are missing truth."""
    try:
        if isinstance(target, (list, tuple)):
            missing = [item is None or item != item for item in target]
            return [math.nan if gap else _number(item) for gap, item in zip(missing, target, strict=True)]
        return _number(target)
    except ValueError:
        raise ValueError("is not a finite number; write it like 0.5 or 1e-3") from None


def _spans(target: Any) -> list[Span]:
    if not isinstance(target, (list, tuple)):
        raise TypeError("is not a list of spans")
    return [_span(item) for item in target]


def _span(item: Any) -> Span:
    try:
        start, end, label = (item[field] for field in Span._fields) if isinstance(item, dict) else item
    except (KeyError, TypeError, ValueError):
        raise ValueError("holds a span that is not [start, end, label]") from None
    if not (isinstance(start, int) and isinstance(end, int) and 0 <= start < end):
        raise ValueError(f"has a span from {start} to {end}; the end is excluded and after the start")
    return Span(start, end, _name(label))


_PARSERS = {"classes": _class, "multilabel": _names, "values": _numbers, "spans": _spans}


def _value_names(train: Sequence[Record]) -> tuple[str, ...]:
    sizes = {len(record.target) if isinstance(record.target, (list, tuple)) else 1 for record in train}
    if len(sizes) != 1 or sizes == {1}:
        return ("value",)
    return tuple(f"value_{number}" for number in range(1, sizes.pop() + 1))


def _where(record: Record) -> str:
    return f"{record.source or 'data'}: record {record.id!r}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
