"""The reader of every entity task: column files, annotated JSON Lines, tables of texts and plain text."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from labtune.data.reading import open_text, read_table
from labtune.errors import DataError, SettingsError
from labtune.specs import Record, Span
from labtune_ner.conll import is_column_file, read_columns
from labtune_ner.tags import parse_tag, spans_of
from labtune_ner.words import split_words

log = logging.getLogger(__name__)

FORMATS = ("auto", "columns", "jsonl", "table", "text")
JSON_LINES = (".jsonl", ".ndjson")
TABLES = (".csv", ".parquet")
TRUTH = ("entities", "spans", "tags")  # columns of annotated JSON Lines that hold the target


def read(
    path: Path,
    *,
    labelled: bool,
    format: str = "auto",  # noqa: A002 - the user's word
    token_column: int = 0,
    tag_column: int = -1,
    separator: str | None = None,
    scheme: str = "auto",
    text_column: str = "text",
) -> Iterator[Record]:
    """Yield the sentences or texts of a file, with their entities when it is labelled.

    Parameters
    ----------
    path
        The file.
    labelled
        Whether the entities are read; prediction needs none.
    format
        ``columns``: one word a line, a blank line behind each sentence; ``jsonl``: objects with ``text`` and
        ``entities`` (or ``spans``) of ``start``, ``end`` and ``label`` in characters, or with ``tokens`` and ``tags``;
        ``table``: CSV or Parquet with a column of texts; ``text``: one text a line. ``auto`` goes by the suffix; any
        other suffix is a column file, or plain text when unlabelled and not every line ends in a tag.
    token_column, tag_column
        Of a column file, counted from 0, or from the end with -1.
    separator
        Of a column file or table. By default a column file with a tab in its first line has tabs, others have blanks.
    scheme
        Of the tags in a column file: ``io``, ``iob1``, ``iob2``, ``bioes``, or ``auto``.
    text_column
        Of a table.

    Yields
    ------
    Record
        The input is a list of words, or a text. The target is a list of spans in words; a text has the words of
        :func:`labtune_ner.words.split_words`. The group is the document, where the file marks documents.

    Raises
    ------
    DataError
        If the file cannot be read, with the line.
    """
    path = Path(path)
    chosen = _format_of(path, labelled) if format == "auto" else format
    if chosen == "columns":
        return read_columns(
            path,
            labelled=labelled,
            token_column=token_column,
            tag_column=tag_column,
            separator=separator,
            scheme=scheme,
        )
    if chosen == "jsonl":
        return _read_json_lines(path, labelled)
    if chosen not in FORMATS:
        raise SettingsError(f"reader.format is {format!r}; use one of {', '.join(FORMATS)}")
    if labelled:
        raise DataError(f"{path}: a {chosen} file holds no entities; label a column file or JSON Lines instead")
    if chosen == "table":
        return read_table(path, labelled=False, input=text_column, separator=separator)
    return _read_lines(path)


def _format_of(path: Path, labelled: bool) -> str:
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    if suffix in JSON_LINES:
        return "jsonl"
    if suffix in TABLES:
        return "table"
    return "columns" if labelled or is_column_file(path) else "text"


def _read_lines(path: Path) -> Iterator[Record]:
    for number, line in open_text(path):
        if line.strip():
            yield Record(id=f"{path.stem}:{number}", input=line, source=f"{path}:{number}")


def _read_json_lines(path: Path, labelled: bool) -> Iterator[Record]:
    """Yield texts or tokens; entities that cut a word are widened to whole words, and counted."""
    first = _first_object(path)
    kind = list if "tokens" in first and "text" not in first else str
    column, group = "tokens" if kind is list else "text", "document" if "document" in first else ""
    widened = 0
    for record in read_table(path, labelled=False, input=column, group=group):
        if not isinstance(record.input, kind) or not all(isinstance(word, str) and word for word in record.input):
            raise DataError(f"{record.source}: text must be a string, and tokens a list of strings that are not empty")
        truth = {name: cell for name, cell in record.columns.items() if name in TRUTH}
        others = {name: cell for name, cell in record.columns.items() if name not in TRUTH}
        target, cut = _target(record, truth) if labelled else (None, 0)
        widened += cut
        yield replace(record, target=target, columns=others)
    if widened:
        log.warning("%s: %d entities start or end inside a word; they are widened to whole words", path, widened)


def _first_object(path: Path) -> Mapping[str, Any]:
    line = next((line for _, line in open_text(path) if line.strip()), "")
    try:
        first = json.loads(line)
    except json.JSONDecodeError:
        return {}  # read_table says what is wrong
    return first if isinstance(first, dict) else {}


def _target(record: Record, truth: Mapping[str, Any]) -> tuple[list[Span], int]:
    """Entities in words, and how many of them were widened."""
    if isinstance(record.input, list):
        return _from_tags(record, truth.get("tags")), 0
    entities = truth.get("entities", truth.get("spans"))
    if not isinstance(entities, list):
        raise DataError(f'{record.source}: no list "entities" of {{"start", "end", "label"}}; write [] for none')
    offsets = split_words(record.input)
    found = [_to_words(record, entity, offsets) for entity in entities]
    spans = sorted(span for span, _ in found)
    for left, right in pairwise(spans):
        if right.start < left.end:
            raise DataError(f"{record.source}: entities share word {right.start}; nested entities are not supported")
    return spans, sum(cut for _, cut in found)


def _from_tags(record: Record, tags: Any) -> list[Span]:
    if not isinstance(tags, list) or len(tags) != len(record.input):
        raise DataError(f'{record.source}: "tags" must be a list of {len(record.input)} tags, one a token')
    try:
        return spans_of([parse_tag(str(tag)) for tag in tags])
    except ValueError as error:
        raise DataError(f"{record.source}: {error}") from None


def _to_words(record: Record, entity: Any, offsets: Sequence[tuple[int, int]]) -> tuple[Span, bool]:
    """One entity in words, and whether it had to be widened to them."""
    try:
        start, end, label = int(entity["start"]), int(entity["end"]), str(entity.get("label") or entity["type"])
    except (TypeError, KeyError, ValueError, AttributeError):
        raise DataError(f'{record.source}: {entity!r} is not like {{"start": 3, "end": 9, "label": "PER"}}') from None
    inside = [index for index, (left, right) in enumerate(offsets) if left < end and start < right]
    if not inside or not 0 <= start < end <= len(record.input):
        raise DataError(f"{record.source}: no word from character {start} to before {end}, counted from 0")
    first, last = inside[0], inside[-1]
    text = record.input[start:end]
    blanks = len(text) - len(text.lstrip()), len(text) - len(text.rstrip())
    cut = (offsets[first][0], offsets[last][1]) != (start + blanks[0], end - blanks[1])
    return Span(first, last + 1, label), cut
