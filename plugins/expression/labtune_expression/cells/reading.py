"""Files of cells or samples to records: AnnData files chunk by chunk, and tables with a column a gene."""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from labtune.data.reading import open_text
from labtune.errors import DataError, SettingsError, nearest
from labtune.specs import Record
from labtune_expression.cells.h5ad import read_h5ad
from labtune_expression.cells.roles import Roles
from labtune_expression.cells.states import detect_state, make_genes

MISSING = ("", "na", "nan", "none")
log = logging.getLogger(__name__)


def read(
    path: Path,
    *,
    labelled: bool,
    target: str = "cell_type",
    id: str = "id",  # noqa: A002 - the user's word for the column
    group: str = "",
    columns: Sequence[str] = (),
    matrix: str = "X",
    genes: str = "",
    state: str = "auto",
    unlabelled: str = "refuse",
) -> Iterator[Record]:
    """Yield the cells of an ``.h5ad`` file or of a CSV or TSV table.

    Parameters
    ----------
    path
        An ``.h5ad`` file, which may be larger than memory; or a table with a row a cell, which may end in ``.gz``.
    labelled
        Whether the target is read.
    target, id, group
        Columns of ``obs`` or of the table; the id is the index of ``obs``, or the row's number where there is none.
    columns
        Further columns to keep. Of a table every other column is a gene.
    matrix
        Of an ``.h5ad`` file: ``X``, ``raw``, or ``layers/NAME``.
    genes
        Of an ``.h5ad`` file: column of ``var`` with the gene names; its index by default.
    state
        What the values are: ``auto`` finds out and refuses what is scaled, ``any`` takes numbers as they are, or
        ``counts``, ``log``, ``scaled``.
    unlabelled
        ``refuse`` or ``skip`` cells without a target (empty, ``NA``, ``nan``) when it is read.

    Yields
    ------
    Record
        With a :class:`labtune_expression.cells.profile.Profile` as input.

    Raises
    ------
    DataError
        If the file cannot be read, genes repeat, the matrix seems to lie on its side, or a cell is empty, unlabelled or
        has impossible values.
    SettingsError
        If an option has an unknown value.
    """
    path = Path(path)
    if unlabelled not in ("refuse", "skip"):
        raise SettingsError(f"reader.unlabelled is {unlabelled!r}; use refuse or skip")
    roles = Roles(target if labelled else "", id, group, tuple(columns))
    if path.suffix == ".h5ad":
        records = read_h5ad(path, roles, matrix=matrix, genes=genes, state=state)
    else:
        records = _read_table(path, roles, hidden="" if labelled else target, state=state)
    yield from _with_target(records, path, unlabelled) if labelled else records


def _with_target(records: Iterator[Record], path: Path, unlabelled: str) -> Iterator[Record]:
    """Refuse or skip what has no label; how many were skipped is logged."""
    skipped = 0
    for record in records:
        if str(record.target).strip().lower() not in MISSING:
            yield record
        elif unlabelled == "skip":
            skipped += 1
        else:
            raise DataError(
                f"{record.source}: cell {record.id!r} has no label; remove it, or add --set reader.unlabelled=skip"
            )
    if skipped:
        log.warning("%s: %d cells without a label were skipped", path, skipped)


def _read_table(path: Path, roles: Roles, *, hidden: str, state: str) -> Iterator[Record]:
    """Read rows of cells; ``hidden`` is a column that is neither a gene nor wanted."""
    delimiter = "\t" if ".tsv" in path.suffixes else ","
    rows = csv.reader((line for _, line in open_text(path)), delimiter=delimiter)
    header = next(rows)
    for column in roles.required:
        if column not in header:
            raise DataError(
                f"{path}:1: no column {column!r}. {nearest(column, header[:50])} Is the table one row a cell?"
            )
    places = [place for place, name in enumerate(header) if name not in {*roles.all, hidden}]
    table = list(_numbers(path, header, places, rows))
    if not table:
        raise DataError(f"{path}: there is a header and no cell below it")
    found = detect_state(np.stack([row for _, _, row in table]), str(path))
    genes = make_genes([header[place] for place in places], found, state, str(path))
    for line, cells, row in table:
        named = dict(zip(header, cells, strict=True))
        yield roles.record(
            named, named.get(roles.id) or f"{path.name.split('.')[0]}:{line}", genes, row, f"{path}:{line}"
        )


def _numbers(
    path: Path, header: list[str], places: list[int], rows: Iterator[list[str]]
) -> Iterator[tuple[int, list[str], NDArray[np.float32]]]:
    for line, cells in enumerate(rows, start=2):
        if len(cells) != len(header):
            raise DataError(f"{path}:{line}: {len(cells)} fields where the header has {len(header)}")
        try:
            yield line, cells, np.array([cells[place] or "nan" for place in places], dtype=np.float32)
        except ValueError as error:
            raise DataError(f"{path}:{line}: {error}; name columns that are no genes in reader.columns") from None
