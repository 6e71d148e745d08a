"""What Cell Ranger writes (and STARsolo, alevin): the ``.h5`` file, or the folder with ``matrix.mtx``."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from labtune.data.reading import open_text
from labtune.errors import DataError, nearest
from labtune_expression.cells.hdf5 import open_hdf5, texts
from labtune_expression.cells.matrix import in_memory, stored
from labtune_expression.cells.table import CellTable

EXPRESSION = "Gene Expression"  # the feature type of genes; others are antibodies, guides, peaks
MATRICES = ("matrix.mtx.gz", "matrix.mtx")
FEATURES = ("features.tsv.gz", "features.tsv", "genes.tsv.gz", "genes.tsv")
BARCODES = ("barcodes.tsv.gz", "barcodes.tsv")


@contextmanager
def open_10x_h5(path: Path) -> Iterator[CellTable]:
    """Open a filtered or raw ``.h5`` file of version 3, or of version 2 with one genome; the matrix stays on disk.

    Raises
    ------
    DataError
        If it is another kind of file, or has features other than genes.
    """
    with open_hdf5(path) as file:
        version3 = "matrix" in file
        groups = ["matrix"] if version3 else [name for name in file if "barcodes" in file[name]]
        if len(groups) != 1 or "barcodes" not in file[groups[0]]:
            raise DataError(f"{path}: not a 10x file of one genome: it needs one group with barcodes and data")
        group = file[groups[0]]
        if version3:
            _only_genes(texts(group["features/feature_type"]), path)
            namings = {"gene_ids": texts(group["features/id"]), "gene_symbols": texts(group["features/name"])}
        else:
            namings = {"gene_ids": texts(group["genes"]), "gene_symbols": texts(group["gene_names"])}
        genes, cells = (int(size) for size in group["shape"][:])
        matrix = stored(group, (cells, genes), by_cell=True)  # columns of genes by cells are rows of cells by genes
        yield CellTable(str(path), texts(group["barcodes"]), {}, namings, matrix)


@contextmanager
def open_10x_folder(path: Path) -> Iterator[CellTable]:
    """Read a folder, or the ``matrix.mtx`` in one, with its barcodes and features; the whole matrix goes to memory.

    Raises
    ------
    DataError
        If one of the three files is missing or damaged, or there are features other than genes.
    """
    from scipy.io import mmread

    folder = path if path.is_dir() else path.parent
    place = _find(folder, MATRICES) if path.is_dir() else path
    features, barcodes = _rows(_find(folder, FEATURES)), _rows(_find(folder, BARCODES))
    columns: list[Sequence[str]] = list(zip(*features, strict=False))
    if len(columns) > 2:
        _only_genes(columns[2], folder)
    names = ("gene_ids", "gene_symbols")
    namings = {name: list(column) for name, column in zip(names, columns, strict=False)}
    try:
        matrix: Any = mmread(place)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{place}: not a Matrix Market file, or cut short ({error}); copy it again") from None
    yield CellTable(str(place), [row[0] for row in barcodes], {}, namings, in_memory(matrix.T.tocsr()))


def is_10x_folder(path: Path) -> bool:
    """Say whether a path is such a folder or the matrix in one."""
    return path.is_dir() or path.name.removesuffix(".gz").endswith(".mtx")


def _find(folder: Path, names: Sequence[str]) -> Path:
    for name in names:
        if (folder / name).is_file():
            return folder / name
    there = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    raise DataError(f"{folder}: no {' or '.join(names)} in this folder. {nearest(names[0], there)}")


def _rows(path: Path) -> list[list[str]]:
    return [row for row in csv.reader((line for _, line in open_text(path)), delimiter="\t") if row]


def _only_genes(kinds: Sequence[str], path: Path) -> None:
    other = next((kind for kind in kinds if kind != EXPRESSION), None)
    if other is not None:
        raise DataError(
            f"{path}: among the features are {other!r}, whose counts are of another kind; keep {EXPRESSION!r} only"
        )
