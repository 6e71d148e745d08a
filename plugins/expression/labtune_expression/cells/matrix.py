"""Matrices of cells by genes on disk, a block of cells at a time, whichever way they are stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from scipy.sparse import csr_matrix, vstack

DENSE_CELLS = 1024  # of a block of a dense matrix
BLOCK_BYTES = 1 << 25  # of a block of a sparse matrix, about
ENTRY_BYTES = 12  # value, column and what a sort of them needs
PIECES, PIECE = 16, 32  # of the cells that stand for all


class Matrix(Protocol):
    """Cells in rows, genes in columns."""

    @property
    def shape(self) -> tuple[int, int]:
        """Cells and genes."""
        ...

    @property
    def step(self) -> int:
        """Cells that are read at once."""
        ...

    def read(self, start: int, stop: int) -> csr_matrix:
        """Read a range of cells, ``(stop - start, G)``; stored zeros may be among the values."""
        ...


def blocks(matrix: Matrix) -> Iterator[tuple[int, csr_matrix]]:
    """Yield the matrix block by block: the number of the first cell, and float32 values without zeros."""
    for start in range(0, matrix.shape[0], matrix.step):
        block = matrix.read(start, min(start + matrix.step, matrix.shape[0])).astype(np.float32)
        block.sum_duplicates()
        block.eliminate_zeros()
        yield start, block


def some_cells(matrix: Matrix) -> csr_matrix:
    """Read cells from all over the matrix; all of them if they are few."""
    count = matrix.shape[0]
    if isinstance(matrix, Columns):  # where any cell costs a pass over the file
        return matrix.read(0, min(matrix.step, count))
    if count <= PIECES * PIECE:
        return matrix.read(0, count)
    starts = np.linspace(0, count - PIECE, PIECES).astype(int).tolist()
    return vstack([matrix.read(start, start + PIECE) for start in starts], format="csr")


@dataclass(frozen=True)
class Dense:
    """A dense array or HDF5 dataset ``(N, G)``, or ``(G, N)`` if turned."""

    values: Any
    turned: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """Cells and genes."""
        rows, columns = self.values.shape
        return (columns, rows) if self.turned else (rows, columns)

    @property
    def step(self) -> int:
        """Cells that are read at once."""
        return DENSE_CELLS

    def read(self, start: int, stop: int) -> csr_matrix:
        """Read a range of cells."""
        return csr_matrix(self.values[:, start:stop].T if self.turned else self.values[start:stop])


@dataclass(frozen=True)
class Compressed:
    """A sparse matrix in arrays or HDF5 datasets: its values, in runs that belong to one cell or to one gene."""

    data: Any
    indices: Any
    indptr: Any
    shape: tuple[int, int]

    @cached_property
    def bounds(self) -> Any:
        """Where each run begins, ``(R + 1,)``."""
        return self.indptr[:]

    @cached_property
    def step(self) -> int:
        """Cells that are read at once."""
        return _step(self.shape[0], int(self.bounds[-1]))


@dataclass(frozen=True)
class Rows(Compressed):
    """Values lie cell after cell (CSR)."""

    def read(self, start: int, stop: int) -> csr_matrix:
        """Read a range of cells."""
        bounds = self.bounds[start : stop + 1]
        first, last = int(bounds[0]), int(bounds[-1])
        parts = (self.data[first:last], self.indices[first:last], bounds - first)
        return csr_matrix(parts, shape=(stop - start, self.shape[1]))


@dataclass(frozen=True)
class Columns(Compressed):
    """Values lie gene after gene (CSC): every block of cells costs a pass over the file."""

    def read(self, start: int, stop: int) -> csr_matrix:
        """Read a range of cells."""
        parts = [self._part(first, last, start, stop) for first, last in self._passes()]
        data, rows, columns = (np.concatenate(found) for found in zip(*parts, strict=True))
        return csr_matrix((data, (rows, columns)), shape=(stop - start, self.shape[1]))

    def _passes(self) -> Iterator[tuple[int, int]]:
        """Ranges of values that are looked through at once."""
        total, size = int(self.bounds[-1]), BLOCK_BYTES // ENTRY_BYTES
        yield from ((first, min(first + size, total)) for first in range(0, max(total, 1), size))

    def _part(self, first: int, last: int, start: int, stop: int) -> tuple[Any, Any, Any]:
        """Values, rows from ``start`` and columns of what lies in a range of values and of cells."""
        cells = self.indices[first:last]
        wanted = (cells >= start) & (cells < stop)
        columns = np.searchsorted(self.bounds, first + np.flatnonzero(wanted), side="right") - 1
        return self.data[first:last][wanted], cells[wanted] - start, columns


def in_memory(matrix: Any) -> Matrix:
    """Wrap a SciPy matrix or an array, cells in rows."""
    if isinstance(matrix, np.ndarray):
        return Dense(matrix)
    rows = csr_matrix(matrix)
    return Rows(rows.data, rows.indices, rows.indptr, rows.shape)


def stored(group: Any, shape: tuple[int, int], *, by_cell: bool) -> Matrix:
    """Wrap the HDF5 group of a sparse matrix with datasets ``data``, ``indices`` and ``indptr``."""
    return (Rows if by_cell else Columns)(group["data"], group["indices"], group["indptr"], shape)


def _step(cells: int, values: int) -> int:
    """As many cells as a block has room for."""
    return max(1, min(cells, int(BLOCK_BYTES / ENTRY_BYTES / max(values / max(cells, 1), 1))))
