"""AnnData files: the matrix stays on disk and never has to fit in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from labtune.errors import DataError, nearest
from labtune_expression.cells.hdf5 import needs_anndata, open_hdf5
from labtune_expression.cells.matrix import Dense, Matrix, in_memory, stored
from labtune_expression.cells.table import CellTable


@contextmanager
def open_h5ad(path: Path, *, matrix: str) -> Iterator[CellTable]:
    """Open a file.

    Parameters
    ----------
    path
        An ``.h5ad`` file.
    matrix
        ``X``, ``raw`` or ``layers/NAME``.

    Raises
    ------
    DataError
        If the file is no AnnData file, or has no such matrix.
    """
    needs_anndata(path)
    with open_hdf5(path) as file:
        import h5py

        if "obs" not in file or "var" not in file:
            raise DataError(f"{path}: an HDF5 file without obs and var is no AnnData file")
        old = isinstance(file["obs"], h5py.Dataset)
        yield _open_old(path, matrix) if old else _open(file, path, matrix)


def _open(file: Any, path: Path, matrix: str) -> CellTable:
    import h5py
    from anndata.io import read_elem

    place = "raw/X" if matrix == "raw" else matrix
    if place not in file:
        known = ["X", *(["raw"] if "raw" in file else []), *(f"layers/{name}" for name in file.get("layers", ()))]
        raise _no_matrix(path, matrix, known)
    found = file[place]
    obs, var = read_elem(file["obs"]), read_elem(file["raw/var" if matrix == "raw" else "var"])
    if isinstance(found, h5py.Dataset):
        values: Matrix = Dense(found)
    else:
        shape = tuple(int(size) for size in found.attrs["shape"])
        values = stored(found, (shape[0], shape[1]), by_cell=found.attrs["encoding-type"] == "csr_matrix")
    return _table(path, matrix, obs, var, values)


def _open_old(path: Path, matrix: str) -> CellTable:
    """Files of anndata before 0.7 are read whole."""
    import anndata

    whole = anndata.read_h5ad(path)
    if matrix == "X":
        return _table(path, matrix, whole.obs, whole.var, in_memory(whole.X))
    if matrix == "raw" and whole.raw is not None:
        return _table(path, matrix, whole.obs, whole.raw.var, in_memory(whole.raw.X))
    raise _no_matrix(path, matrix, ["X", "raw"] if whole.raw is not None else ["X"])


def _table(path: Path, matrix: str, obs: Any, var: Any, values: Matrix) -> CellTable:
    return CellTable(
        where=f"{path}: {matrix}",
        ids=[str(name) for name in obs.index],
        columns=_Frame(obs),
        namings={"index": [str(name) for name in var.index], **_names(var)},
        matrix=values,
    )


class _Frame(Mapping[str, Sequence[Any]]):
    """The columns of a data frame, each turned into a list only when it is asked for."""

    def __init__(self, frame: Any) -> None:
        self.frame = frame
        self.lists: dict[str, Sequence[Any]] = {}

    def __getitem__(self, name: str) -> Sequence[Any]:
        if name not in self.lists:
            self.lists[name] = self.frame[name].tolist()
        return self.lists[name]

    def __iter__(self) -> Iterator[str]:
        return map(str, self.frame.columns)

    def __len__(self) -> int:
        return len(self.frame.columns)


def _names(var: Any) -> dict[str, Sequence[str]]:
    """Columns that could name genes: texts, or categories of texts."""
    found: dict[str, Sequence[str]] = {}
    for name in map(str, var.columns):
        column = var[name]
        kinds = column.cat.categories if hasattr(column, "cat") else column
        if len(kinds) and all(isinstance(value, str) for value in kinds[:100]):
            found[name] = [str(value) for value in column.tolist()]
    return found


def _no_matrix(path: Path, matrix: str, known: list[str]) -> DataError:
    return DataError(f"{path}: there is no matrix {matrix!r}. {nearest(matrix, known)} Set reader.matrix")
