"""Loom files (version 2 and 3): genes in rows, cells in columns, read from disk a block of cells at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from labtune.errors import DataError, nearest
from labtune_expression.cells.hdf5 import open_hdf5, texts
from labtune_expression.cells.matrix import Dense
from labtune_expression.cells.table import CellTable

CELL_NAMES = ("CellID", "obs_names", "cell_id", "barcode", "barcodes", "cell_names")
GENE_NAMES = ("Gene", "var_names", "gene_names", "Accession", "gene", "genes")


@contextmanager
def open_loom(path: Path, *, matrix: str) -> Iterator[CellTable]:
    """Open a file.

    Parameters
    ----------
    path
        A ``.loom`` file.
    matrix
        ``X`` for the main matrix, or ``layers/NAME``.

    Raises
    ------
    DataError
        If it is no loom file, has no such matrix, or does not name its cells or genes.
    """
    with open_hdf5(path) as file:
        if "matrix" not in file or "row_attrs" not in file or "col_attrs" not in file:
            raise DataError(f"{path}: no loom file: it lacks matrix, row_attrs or col_attrs")
        known = ["X", *(f"layers/{name}" for name in file.get("layers", ()))]
        if matrix not in known:
            raise DataError(f"{path}: there is no matrix {matrix!r}. {nearest(matrix, known)} Set reader.matrix")
        cells, genes = _attributes(file["col_attrs"]), _attributes(file["row_attrs"])
        first = _first(genes, GENE_NAMES, path, "genes")
        names = {name: [str(value) for value in found] for name, found in genes.items() if isinstance(found[0], str)}
        yield CellTable(
            where=f"{path}: {matrix}",
            ids=[str(value) for value in cells[_first(cells, CELL_NAMES, path, "cells")]],
            columns=cells,
            namings={first: names[first], **names},
            matrix=Dense(file["matrix" if matrix == "X" else matrix], turned=True),
        )


def _attributes(group: Any) -> dict[str, Sequence[Any]]:
    """Columns with one value a cell or gene; those with several (coordinates) are left out."""
    found = {name: dataset for name, dataset in group.items() if len(dataset.shape) == 1 and len(dataset)}
    return {name: texts(each) if each.dtype.kind in "OSU" else each[:].tolist() for name, each in found.items()}


def _first(columns: dict[str, Sequence[Any]], names: Sequence[str], path: Path, what: str) -> str:
    """Name the column that names cells or genes: by what it is called, else the first one of texts."""
    likely = [*names, *columns]
    for name in likely:
        if name in columns and isinstance(columns[name][0], str):
            return name
    raise DataError(f"{path}: none of its attributes names the {what}; add one such as {names[0]!r}")
