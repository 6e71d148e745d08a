"""Tables of text with a row a cell and a column a gene, read row by row; and tables that annotate cells."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labtune.data.reading import open_text
from labtune.errors import DataError, nearest
from labtune.specs import Record
from labtune_expression.cells.matrix import Dense
from labtune_expression.cells.table import CellTable, Roles

LOOKED_AT = 512  # first rows that tell the state of the matrix
ROWS = 1024  # in memory at once

Line = tuple[int, list[str], NDArray[np.float32]]  # number, all fields, values of the genes


def read_delimited(path: Path, roles: Roles, *, not_genes: Sequence[str], state: str) -> Iterator[Record]:
    """Yield the cells of a CSV or TSV file; see :func:`labtune_expression.cells.reading.read`.

    Parameters
    ----------
    path
        May end in ``.gz``.
    roles
        Which column means what.
    not_genes
        Further columns that are neither genes nor wanted.
    state
        Of the reader.

    Raises
    ------
    DataError
        If a column is missing, a row does not fit the header, or a field is no number.
    """
    rows = _fields(path)
    header = next(rows)
    for column in roles.required:
        if column not in header:
            raise DataError(
                f"{path}:1: no column {column!r}. {nearest(column, header[:50])} Is the table one row a cell?"
            )
    places = [place for place, name in enumerate(header) if name not in {*roles.required, roles.id, *not_genes}]
    genes = {"header": [header[place] for place in places]}
    lines = _numbers(path, header, places, rows)
    first = list(islice(lines, LOOKED_AT))
    if not first:
        raise DataError(f"{path}: there is a header and no cell below it")
    known = _table(path, header, roles, genes, first).genes(state)
    stream = chain(first, lines)
    while chunk := list(islice(stream, ROWS)):
        yield from _table(path, header, roles, genes, chunk).records(roles, known)


def read_annotations(path: Path, id_column: str) -> Mapping[str, Mapping[str, str]]:
    """Read what a CSV or TSV file says of cells, by their names in a column or in the first one.

    Raises
    ------
    DataError
        If a cell is described twice, or a row does not fit the header.
    """
    rows = _fields(path)
    header = next(rows)
    place = header.index(id_column) if id_column in header else 0
    found: dict[str, Mapping[str, str]] = {}
    for line, cells in enumerate(rows, start=2):
        _check_width(path, line, cells, header)
        if cells[place] in found:
            raise DataError(f"{path}:{line}: the cell {cells[place]!r} is described twice; remove one of the rows")
        found[cells[place]] = dict(zip(header, cells, strict=True))
    return found


def _table(
    path: Path, header: Sequence[str], roles: Roles, genes: Mapping[str, Sequence[str]], lines: Sequence[Line]
) -> CellTable:
    """Make the table of some lines."""
    place = {name: number for number, name in enumerate(header)}
    stem = path.name.split(".")[0]
    ids = [fields[place[roles.id]] if roles.id in place else "" for _, fields, _ in lines]
    return CellTable(
        where=str(path),
        ids=[name or f"{stem}:{line}" for name, (line, _, _) in zip(ids, lines, strict=True)],
        columns={name: [fields[place[name]] for _, fields, _ in lines] for name in roles.required},
        namings=genes,
        matrix=Dense(np.stack([values for _, _, values in lines])),
        sources=[f"{path}:{line}" for line, _, _ in lines],
    )


def _fields(path: Path) -> Iterator[list[str]]:
    delimiter = "\t" if ".tsv" in path.suffixes else ","
    return csv.reader((line for _, line in open_text(path)), delimiter=delimiter)


def _numbers(path: Path, header: Sequence[str], places: Sequence[int], rows: Iterator[list[str]]) -> Iterator[Line]:
    for line, cells in enumerate(rows, start=2):
        _check_width(path, line, cells, header)
        try:
            yield line, cells, np.array([cells[place] or "nan" for place in places], dtype=np.float32)
        except ValueError as error:
            raise DataError(f"{path}:{line}: {error}; name columns that are no genes in reader.columns") from None


def _check_width(path: Path, line: int, cells: Sequence[Any], header: Sequence[str]) -> None:
    if len(cells) != len(header):
        raise DataError(f"{path}:{line}: {len(cells)} fields where the header has {len(header)}")
