"""AnnData files, a chunk of cells at a time: the matrix never has to fit in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labtune.errors import DataError, nearest
from labtune.specs import Record
from labtune_expression.cells.roles import Roles
from labtune_expression.cells.states import detect_state, make_genes

CHUNK = 1024  # cells in memory at once
LOOKED_AT = 512  # cells, spread over the file, that tell the state of the matrix


def read_h5ad(path: Path, roles: Roles, *, matrix: str, genes: str, state: str) -> Iterator[Record]:
    """Yield the cells of a file; see :func:`labtune_expression.cells.reading.read`.

    Raises
    ------
    DataError
        If the file is no AnnData file, or a column or matrix is missing.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; check the path")
    try:
        import anndata  # noqa: F401  only whether it is there
        import h5py
    except ImportError:
        raise DataError(f"{path}: reading .h5ad needs anndata; pip install 'labtune-expression[cells]'") from None
    try:
        file = h5py.File(path)
    except OSError as error:
        raise DataError(f"{path}: not an .h5ad file ({str(error).splitlines()[0]})") from None
    with file:
        table = _open(file, path, matrix)
        _check_columns(table, roles, path)
        if genes and genes not in table.var:
            raise DataError(f"{path}: var has no column {genes!r}. {nearest(genes, map(str, table.var.columns))}")
        names = [str(name) for name in (table.var[genes] if genes else table.var.index)]
        step = max(1, len(table.obs) // LOOKED_AT)
        found = detect_state(_dense(table.values[::step]), f"{path}: {matrix}")
        known = make_genes(names, found, state, f"{path}: {matrix}")
        for start in range(0, len(table.obs), CHUNK):
            block = _dense(table.values[start : start + CHUNK])
            part = table.obs.iloc[start : start + CHUNK]
            for name, named, row in zip(map(str, part.index), part.to_dict("records"), block, strict=True):
                yield roles.record(named, name, known, row, f"{path}: cell {name!r}")


@dataclass(frozen=True)
class _Table:
    """Cells, genes of the chosen matrix, and the matrix, on disk where the file's format allows it."""

    obs: Any
    var: Any
    values: Any


def _open(file: Any, path: Path, matrix: str) -> _Table:
    import h5py
    from anndata.io import read_elem, sparse_dataset

    if "obs" not in file or "var" not in file:
        raise DataError(f"{path}: an HDF5 file without obs and var is no AnnData file")
    if isinstance(file["obs"], h5py.Dataset):
        return _open_old(path, matrix)
    place = "raw/X" if matrix == "raw" else matrix
    if place not in file:
        known = ["X", *(["raw"] if "raw" in file else []), *(f"layers/{name}" for name in file.get("layers", ()))]
        raise _no_matrix(path, matrix, known)
    found = file[place]
    return _Table(
        obs=read_elem(file["obs"]),
        var=read_elem(file["raw/var" if matrix == "raw" else "var"]),
        values=found if isinstance(found, h5py.Dataset) else sparse_dataset(found),
    )


def _open_old(path: Path, matrix: str) -> _Table:
    """Files of anndata before 0.7 are read whole."""
    import anndata

    whole = anndata.read_h5ad(path)
    if matrix == "X":
        return _Table(whole.obs, whole.var, whole.X)
    if matrix == "raw" and whole.raw is not None:
        return _Table(whole.obs, whole.raw.var, whole.raw.X)
    raise _no_matrix(path, matrix, ["X", "raw"] if whole.raw is not None else ["X"])


def _no_matrix(path: Path, matrix: str, known: list[str]) -> DataError:
    return DataError(f"{path}: there is no matrix {matrix!r}. {nearest(matrix, known)} Set reader.matrix")


def _check_columns(table: _Table, roles: Roles, path: Path) -> None:
    shape = (len(table.obs), len(table.var))
    if tuple(table.values.shape) != shape:
        raise DataError(
            f"{path}: the matrix is {table.values.shape}, but there are {shape[0]} cells and {shape[1]} genes"
        )
    for column in roles.required:
        if column not in table.obs:
            swapped = (
                " It is a column of var: cells and genes are swapped, transpose the file" if column in table.var else ""
            )
            hint = nearest(column, map(str, table.obs.columns))
            raise DataError(f"{path}: obs has no column {column!r}. {hint}{swapped}")


def _dense(block: Any) -> NDArray[Any]:
    rows: NDArray[Any] = block.toarray() if hasattr(block, "toarray") else np.asarray(block)
    return rows
