"""The reader: sentences as the Financial PhraseBank writes them, tables, and plain sentences.

The PhraseBank (Malo et al. 2014, doi:10.1002/asi.23062) has one ``sentence@label`` a line. Its files are in Latin-1 but
for one, in UTF-8, whose accented letters were lost before publication and stand as U+FFFD.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Unpack

from labtune.data.reading import Columns, open_text, read_table
from labtune.errors import DataError
from labtune.specs import Record
from labtune_finance.plugin import SENTIMENTS

log = logging.getLogger(__name__)

LOST = "\N{REPLACEMENT CHARACTER}"
SPELLINGS = {name[:3]: name for name in SENTIMENTS} | {name: name for name in SENTIMENTS}


def read(
    path: Path,
    *,
    labelled: bool,
    **columns: Unpack[Columns],
) -> Iterator[Record]:
    """Yield the sentences of a file.

    Parameters
    ----------
    path
        ``.txt`` (or ``.txt.gz``): one sentence a line, and ``@label`` after it if labelled. Anything else is a table of
        :func:`labtune.data.reading.read_table`.
    labelled
        Whether the labels are read. If not, a label at the end of a line is taken off, so that no model sees it.
    columns
        Options of a table. ``encoding`` is by default UTF-8, and Latin-1 for a ``.txt`` file that is not UTF-8.

    Yields
    ------
    Record
        The target is ``negative``, ``neutral`` or ``positive``; in a file also ``neg``, ``neu``, ``pos``, in any case.

    Raises
    ------
    DataError
        If the file cannot be read, with the line.
    """
    path = Path(path)
    if path.name.removesuffix(".gz").endswith(".txt"):
        records = _read_lines(path, columns.get("encoding") or _encoding_of(path), labelled)
    else:
        records = read_table(path, labelled=labelled, **columns)
    lost = 0
    for record in records:
        lost += LOST in record.input
        yield replace(record, target=sentiment(record.target, record.source)) if labelled else record
    if lost:
        log.warning("%s: %d sentences have letters that an earlier conversion lost (U+FFFD)", path, lost)


def sentiment(label: object, source: str) -> str:
    """Return the label's own spelling.

    Raises
    ------
    DataError
        If the label is another word, or a number: 0, 1 and 2 mean different things in different data sets.
    """
    spelling = str(label).strip().lower()
    if spelling not in SPELLINGS:
        raise DataError(f"{source}: label {str(label)!r} is not a sentiment; write {', '.join(SENTIMENTS)}")
    return SPELLINGS[spelling]


def _read_lines(path: Path, encoding: str, labelled: bool) -> Iterator[Record]:
    stem = Path(path.name.removesuffix(".gz")).stem
    for number, line in open_text(path, encoding):
        if not line.strip():
            continue
        source = f"{path}:{number}"
        text, mark, label = line.rpartition("@")  # a sentence may hold an @ of its own
        known = mark and label.strip().lower() in SPELLINGS
        if labelled and not mark:
            raise DataError(f"{source}: no '@label' after the sentence; add one of {', '.join(SENTIMENTS)}")
        if not (labelled or known):
            text, label = line, ""
        if not text.strip():
            raise DataError(f"{source}: no sentence before the label; write it or remove the line")
        columns = {"label": label.strip()} if known and not labelled else {}
        yield Record(f"{stem}:{number}", text.strip(), label if labelled else None, columns=columns, source=source)


def _encoding_of(path: Path) -> str:
    """Tell UTF-8 from Latin-1, in which every file can be read."""
    if all(_is_utf8(line) for _, line in open_text(path, "latin-1")):
        return "utf-8"
    log.info("%s: not UTF-8, read as Latin-1", path)
    return "latin-1"


def _is_utf8(line: str) -> bool:
    try:
        line.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
