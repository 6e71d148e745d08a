"""Showing a record to people: its input as text, cut to what fits, with the place of an error in its context."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from labtune.evaluation.sections import Segment
from labtune.specs import Record

TEXT_LIMIT = 600  # characters of a whole input
CONTEXT = 25  # units on either side of an error


def excerpt(content: Any, limit: int = TEXT_LIMIT) -> str:
    """Return an input as text of at most ``limit`` characters, and say how many were left out."""
    if (
        isinstance(content, Sequence)
        and not isinstance(content, str)
        and all(isinstance(part, str) for part in content)
    ):
        content = " ".join(content)
    text = str(content)
    return text if len(text) <= limit else f"{text[:limit].rstrip()} … ({len(text) - limit:,} more characters)"


def in_context(record: Record, position: int | None, truth: str, predicted: str) -> list[Segment]:
    """Segments that show one prediction where it stands.

    Parameters
    ----------
    record
        The record; its input has one entry (word or character) a unit when the position is to be shown.
    position
        The unit, or None when the prediction is about the whole record.
    truth, predicted
        What was right and what was predicted there.

    Returns
    -------
    list of Segment
        The unit between its neighbours, or the input alone when it cannot be divided into the record's units.
    """
    if position is None or len(record.target) != _length(record.input):
        return [Segment(excerpt(record.input))]
    glue = "" if isinstance(record.input, str) else " "
    first, last = max(0, position - CONTEXT), position + 1 + CONTEXT
    before = glue.join([*record.input[first:position], ""])
    after = glue.join(["", *record.input[position + 1 : last]])
    return [
        Segment(f"… {before}" if first else before),
        Segment(record.input[position], truth, predicted),
        Segment(f"{after} …" if last < len(record.input) else after),
    ]


def number(value: float, *, sign: bool = False) -> str:
    """Four significant digits, in words of the field: no exponents between 0.001 and a million."""
    return f"{value:+,.4g}" if sign else f"{value:,.4g}"


def _length(content: Any) -> int:
    """Entries of an input that is text or a list of texts; -1 for anything else."""
    if isinstance(content, str) or (isinstance(content, Sequence) and all(isinstance(part, str) for part in content)):
        return len(content)
    return -1
