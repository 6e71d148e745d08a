"""Column files (CoNLL and its relatives) to records: one word a line, a blank line behind each sentence."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from labtune.data.reading import open_text
from labtune.errors import DataError, SettingsError
from labtune.specs import Record
from labtune_ner.tags import SCHEMES, Tag, count_repairs, detect_scheme, parse_tag, spans_of

log = logging.getLogger(__name__)

DOCUMENT = "-DOCSTART-"
BLANKS = re.compile(r"[ \t]+")  # not str.split: a no-break space may be part of a word
METADATA = re.compile(r"#\s*\S+\s*=")  # "# sent_id = 12", as in CoNLL-U
INDEXED = re.compile(r"(\ufffd+|.)(\d+)")  # one character (or what is left of a broken one) and its index in its word


@dataclass(slots=True)
class Sentence:
    """The rows of one sentence and the line of each."""

    document: int
    lines: list[int] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)


def read_columns(
    path: Path,
    *,
    labelled: bool,
    token_column: int = 0,
    tag_column: int = -1,
    separator: str | None = None,
    scheme: str = "auto",
) -> Iterator[Record]:
    """Yield one record a sentence; the parameters are those of :func:`labtune_ner.reading.read`."""
    sentences = _sentences(path, separator)
    if not sentences:
        raise DataError(f"{path}: no sentence found; expected one word a line and a blank line behind each sentence")
    words = _words(path, sentences, token_column)
    targets = [spans_of(tags) for tags in _tags(path, sentences, tag_column, scheme)] if labelled else None
    has_documents = sentences[-1].document > 0
    for index, sentence in enumerate(sentences):
        yield Record(
            id=f"{path.stem}:{sentence.lines[0]}",
            input=words[index],
            target=targets[index] if targets else None,
            group=f"{path.stem}: document {sentence.document}" if has_documents else None,
            source=f"{path}:{sentence.lines[0]}",
        )


def is_column_file(path: Path) -> bool:
    """Say whether every line has the same number of columns, at least two, the last of them a tag."""
    widths, tagged = set(), True
    for _, line in open_text(path):
        cells = BLANKS.split(line.strip(" \t"))
        if cells != [""] and not line.startswith(("#", DOCUMENT)):
            widths.add(len(cells))
            tagged = tagged and _is_tag(cells[-1])
    return tagged and len(widths) == 1 and widths != {1}


def _is_tag(text: str) -> bool:
    try:
        parse_tag(text)
    except ValueError:
        return False
    return True


def _sentences(path: Path, separator: str | None) -> list[Sentence]:
    """Split the file into sentences and check that all lines have the same number of columns."""
    split, width = _layout(path, separator)
    sentences: list[Sentence] = []
    current = Sentence(document=0)
    for number, line in open_text(path):
        cells = split(line)
        if not line.strip(" \t"):
            current = _finish(current, sentences)
        elif cells[0] == DOCUMENT:
            current = _finish(current, sentences)
            current.document += 1
        elif current.rows or not _is_comment(line, len(cells) != width):
            if len(cells) != width:
                columns = f"{len(cells)} column{'' if len(cells) == 1 else 's'}"
                raise DataError(f"{path}:{number}: {columns} where the file has {width}; repair the line")
            current.lines.append(number)
            current.rows.append(cells)
    _finish(current, sentences)
    return sentences


def _layout(path: Path, separator: str | None) -> tuple[Callable[[str], list[str]], int]:
    """Look at the first line that can be no comment: how lines are split, and into how many columns."""
    lines = [line for _, line in open_text(path) if line.strip(" \t") and not line.startswith(DOCUMENT)]
    first = next((line for line in lines if not line.startswith("#")), lines[0] if lines else "")
    separator = separator or ("\t" if "\t" in first else None)

    def split(line: str) -> list[str]:
        return line.split(separator) if separator else BLANKS.split(line.strip(" \t"))

    return split, len(split(first))


def _finish(sentence: Sentence, sentences: list[Sentence]) -> Sentence:
    if sentence.rows:
        sentences.append(sentence)
    return Sentence(sentence.document)


def _is_comment(line: str, other_width: bool) -> bool:
    """Tell a comment ahead of a sentence from the word ``#``: it is CoNLL-U metadata, or of another width."""
    return line.startswith("#") and (other_width or METADATA.match(line) is not None)


def _words(path: Path, sentences: Sequence[Sentence], column: int) -> list[list[str]]:
    """Take the word column; undo the character-and-index notation where the whole file is written in it."""
    words = [_column(path, sentence, column, "token_column") for sentence in sentences]
    if not _is_indexed(words):
        return words
    log.warning("%s: every token is one character and its index in a word; the index is removed", path)
    return [[INDEXED.sub(r"\1", word) for word in sentence] for sentence in words]


def _is_indexed(sentences: Sequence[Sequence[str]]) -> bool:
    """Say whether all tokens are like ``一0 节1 课2 的0``: the index counts up or is 0, with 1 % of slips allowed."""
    slips = total = 0
    for words in sentences:
        before = -1
        for word in words:
            match = INDEXED.fullmatch(word)
            if match is None:
                return False
            slips += int(match[2]) not in (0, before + 1)
            before = int(match[2])
        total += len(words)
    return slips <= total / 100


def _tags(path: Path, sentences: Sequence[Sentence], column: int, scheme: str) -> list[list[Tag]]:
    if scheme != "auto" and scheme not in SCHEMES:
        raise SettingsError(f"reader.scheme is {scheme!r}; use auto, {', '.join(SCHEMES)}")
    if len(sentences[0].rows[0]) < 2:
        raise DataError(f"{path}:{sentences[0].lines[0]}: one column; a labelled file has a word and a tag a line")
    tags = [_parse(path, sentence, _column(path, sentence, column, "tag_column")) for sentence in sentences]
    found = detect_scheme(tags) if scheme == "auto" else scheme
    for sentence, parsed in zip(sentences, tags, strict=True):
        _check_letters(path, sentence, parsed, found)
    repairs = sum(count_repairs(parsed, found) for parsed in tags)
    if repairs:
        log.warning("%s: %d tags do not follow %s; an entity starts where none is open", path, repairs, found)
    return tags


def _parse(path: Path, sentence: Sentence, texts: Sequence[str]) -> list[Tag]:
    tags = []
    for line, text in zip(sentence.lines, texts, strict=True):
        try:
            tags.append(parse_tag(text))
        except ValueError as error:
            raise DataError(f"{path}:{line}: {error}") from None
    return tags


def _check_letters(path: Path, sentence: Sentence, tags: Sequence[Tag], scheme: str) -> None:
    for line, tag in zip(sentence.lines, tags, strict=True):
        if tag.letter not in f"O{SCHEMES[scheme]}":
            raise DataError(f"{path}:{line}: a tag with {tag.letter} is not {scheme}; use reader option scheme=auto")


def _column(path: Path, sentence: Sentence, column: int, option: str) -> list[str]:
    width = len(sentence.rows[0])
    if not -width <= column < width:
        raise SettingsError(f"reader.{option} is {column}, but {path} has {width} columns, counted from 0")
    cells = [row[column] for row in sentence.rows]
    for line, cell in zip(sentence.lines, cells, strict=True):
        if not cell:
            raise DataError(f"{path}:{line}: column {column} is empty; fill it, or set the reader option separator")
    return cells
