"""Files to records: CSV, TSV, JSON Lines and Parquet, read as a stream, so that size on disk never matters."""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from labtune.errors import DataError, nearest
from labtune.specs import Record

# One field may hold a long document, but an unclosed quote must not swallow a file of any size.
_LONGEST_FIELD = 1 << 26

Row = tuple[int, Mapping[str, Any]]  # line number, cells by column


class Columns(TypedDict, total=False):
    """Options of :func:`read_table`, for readers that hand them on: ``**columns: Unpack[Columns]``."""

    input: str
    target: str
    id: str
    group: str
    separator: str | None
    encoding: str


def open_text(path: Path, encoding: str = "utf-8") -> Iterator[tuple[int, str]]:
    """Yield the lines of a text file, which may be compressed as ``.gz``.

    Parameters
    ----------
    path
        The file.
    encoding
        An encoding in which a line feed is one byte; a byte-order mark of UTF-8 is removed.

    Yields
    ------
    tuple of int and str
        The line number, from 1, and the line without its end.

    Raises
    ------
    DataError
        If the file is missing, empty, a folder, damaged, or not in this encoding.
    """
    _check_file(path)
    opener: Callable[[Path, str], Any] = gzip.open if path.suffix == ".gz" else open
    number = 0
    try:
        with opener(path, "rb") as stream:
            for number, raw in enumerate(stream, start=1):
                line = raw.removeprefix(b"\xef\xbb\xbf") if number == 1 and encoding == "utf-8" else raw
                yield number, line.rstrip(b"\r\n").decode(encoding)
    except UnicodeDecodeError as error:
        bad = error.object[error.start]
        raise DataError(
            f"{path}:{number}: byte 0x{bad:02x} is not {encoding}; save it as UTF-8 or set the reader option encoding"
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path}: cannot be read ({error}); check the file and that '.gz' is only on gzip files"
        ) from None
    if number == 0:
        raise DataError(f"{path}: the file is empty; give a file with at least one record")


def read_table(
    path: Path,
    *,
    labelled: bool,
    input: str = "text",  # noqa: A002 - the user's word for the column
    target: str = "label",
    id: str = "id",  # noqa: A002 - likewise
    group: str = "",
    separator: str | None = None,
    encoding: str = "utf-8",
) -> Iterator[Record]:
    """Yield the records of a CSV, TSV, JSON Lines or Parquet file, by its suffix; ``.gz`` may follow the first three.

    Parameters
    ----------
    path
        The file. CSV and TSV have a header; JSON Lines hold one object a line.
    labelled
        Whether the target is read. If not, its column is kept with the others and may be absent.
    input, target, id, group
        Names of columns. Records without an id are called ``stem:line``. An empty name reads no group.
    separator
        Between the fields of CSV and TSV; by default a comma and a tab.
    encoding
        Of text files.

    Yields
    ------
    Record
        The target is as in the file; :func:`labtune.data.labels.parse_target` gives it the type of the task's labels.
        Columns without a role are kept.

    Raises
    ------
    DataError
        If a named column is missing, a row does not fit the header, an input is empty, or the file cannot be read.
    """
    path = Path(path)
    roles = _Roles(input, target if labelled else "", id, group)
    stem = Path(path.name.removesuffix(".gz")).stem
    number = 0
    for number, row in _rows(path, separator, encoding):
        yield roles.record(row, f"{stem}:{number}", f"{path}:{number}")
    if number == 0:
        raise DataError(f"{path}: there is a header and no record below it")


@dataclass(frozen=True, slots=True)
class _Roles:
    """Which column means what; empty for none."""

    input: str
    target: str
    id: str
    group: str

    def record(self, row: Mapping[str, Any], default_id: str, source: str) -> Record:
        required = [self.input, self.target, self.group, self.id if self.id != "id" else ""]
        for column in filter(None, required):
            if column not in row:
                raise DataError(f"{source}: {_no_column(column, row)}")
        if _empty(row[self.input]):
            raise DataError(f"{source}: the input column {self.input!r} is empty; fill it or remove the row")
        name, group = row.get(self.id), row.get(self.group)
        taken = {self.input, self.target, self.id, self.group}
        return Record(
            id=default_id if _empty(name) else str(name),
            input=row[self.input],
            target=row[self.target] if self.target else None,
            group=None if _empty(group) else str(group),
            columns={column: cell for column, cell in row.items() if column not in taken},
            source=source,
        )


def _no_column(column: str, row: Collection[str]) -> str:
    hint = nearest(column, row)
    columns = f" The columns are {', '.join(map(repr, row))}." if hint.startswith("Did") else ""
    return f"no column {column!r}. {hint}{columns} Set the column's name (or the separator) in the reader options"


def _empty(cell: Any) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip())


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise DataError(f"{path}: this is a folder; name a file in it")
    if not path.exists():
        raise DataError(f"{path}: no such file; check the path")


def _rows(path: Path, separator: str | None, encoding: str) -> Iterator[Row]:
    _check_file(path)
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    if suffix in (".csv", ".tsv"):
        return _separated(path, separator or ("," if suffix == ".csv" else "\t"), encoding)
    if suffix in (".jsonl", ".ndjson"):
        return _json_lines(path, encoding)
    if suffix == ".parquet":
        return _parquet(path)
    raise DataError(f"{path}: cannot read {suffix or 'a file without suffix'}; give .csv, .tsv, .jsonl or .parquet")


def _separated(path: Path, separator: str, encoding: str) -> Iterator[Row]:
    csv.field_size_limit(_LONGEST_FIELD)
    lines = (line + "\n" for _, line in open_text(path, encoding))
    reader = csv.reader(lines, delimiter=separator, strict=True)
    header: list[str] | None = None
    while True:
        start = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise DataError(
                f'{path}:{start}: {error}; a field that starts with a quote ends with one, and a quote inside is ""'
            ) from None
        if cells is None:
            return
        if not cells:  # a blank line
            continue
        if header is None:
            header = _header(path, start, cells)
        elif len(cells) != len(header):
            raise DataError(
                f"{path}:{start}: {len(cells)} fields where the header has {len(header)}; "
                f"put quotes around a field that holds {separator!r}"
            )
        else:
            yield start, dict(zip(header, cells, strict=True))


def _header(path: Path, line: int, cells: list[str]) -> list[str]:
    names = [cell.strip() for cell in cells]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{path}:{line}: the header names {twice[0]!r} twice; rename one of the columns")
    return names


def _json_lines(path: Path, encoding: str) -> Iterator[Row]:
    for number, line in open_text(path, encoding):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"{path}:{number}: not JSON at column {error.colno}: {error.msg}") from None
        if not isinstance(row, dict):
            raise DataError(f'{path}:{number}: not an object; write one {{"column": value, …}} a line')
        yield number, row


def _parquet(path: Path) -> Iterator[Row]:
    """Count rows from 1; they stand in for lines."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise DataError(f"{path}: reading Parquet needs pyarrow; pip install 'labtune[parquet]'") from None
    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1024):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except pa.ArrowInvalid as error:
        raise DataError(f"{path}: not a Parquet file ({str(error).splitlines()[0]})") from None
