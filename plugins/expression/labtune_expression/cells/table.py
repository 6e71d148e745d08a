"""What every format comes to: named cells, named genes and a matrix; and from there to records."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from labtune.errors import DataError, nearest
from labtune.specs import Record
from labtune_expression.cells.matrix import Matrix, blocks, some_cells
from labtune_expression.cells.profile import Genes, Profile
from labtune_expression.cells.states import check_block, describe_state, make_genes

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Roles:
    """Names of columns; empty for none."""

    target: str
    id: str
    group: str
    others: tuple[str, ...]

    @property
    def required(self) -> tuple[str, ...]:
        """Columns that must be there."""
        return tuple(filter(None, (self.target, self.group, *self.others)))

    def record(self, name: str, profile: Profile, columns: Mapping[str, Sequence[Any]], row: int, where: str) -> Record:
        """Make the record of one cell from the columns of a table."""
        return Record(
            id=name,
            input=profile,
            target=columns[self.target][row] if self.target else None,
            group=str(columns[self.group][row]) if self.group else None,
            columns={column: columns[column][row] for column in self.others},
            source=where,
        )


@dataclass(frozen=True)
class CellTable:
    """Cells and genes of one file.

    Parameters
    ----------
    where
        Names file and matrix in messages.
    ids
        Names of the cells ``(N,)``.
    columns
        What is known of the cells, each ``(N,)``.
    namings
        Names of the genes ``(G,)``, by the name of the column that has them; the first is the usual one.
    matrix
        ``(N, G)``.
    sources
        Where in the file each cell is, for messages; by its name where this is empty.
    """

    where: str
    ids: Sequence[str]
    columns: Mapping[str, Sequence[Any]]
    namings: Mapping[str, Sequence[str]]
    matrix: Matrix
    sources: Sequence[str] = ()

    def genes(self, state: str, naming: str = "") -> Genes:
        """Find out what the matrix holds, and say it.

        Parameters
        ----------
        state
            Of the reader.
        naming
            The naming of genes to use; the first by default.

        Raises
        ------
        DataError
            If names and matrix do not fit, or the matrix is not of the wanted kind.
        """
        self._check_shape()
        if naming and naming not in self.namings:
            raise DataError(f"{self.where}: no column {naming!r} of genes. {nearest(naming, self.namings)}")
        some = some_cells(self.matrix)
        chosen = {naming: self.namings[naming], **self.namings} if naming else self.namings
        known = make_genes(chosen, some, state, self.where)
        log.info("%s: %s", self.where, describe_state(known, some))
        return known

    def records(self, roles: Roles, genes: Genes) -> Iterator[Record]:
        """Yield a record a cell; raises DataError if a column is missing or a value impossible."""
        self._check_columns(roles)
        for start, block in blocks(self.matrix):
            check_block(block, genes, lambda row, start=start: self._place(start + row))  # type: ignore[misc]  # a default is a type's blind spot
            yield from self._block(roles, genes, start, block)

    def _place(self, row: int) -> str:
        """What messages call a cell."""
        cell = f"cell {str(self.ids[row])!r}"
        return f"{self.sources[row]}: {cell}" if self.sources else f"{self.where}: {cell}"

    def _block(self, roles: Roles, genes: Genes, start: int, block: Any) -> Iterator[Record]:
        bounds, columns = block.indptr.tolist(), block.indices.astype(np.int32, copy=False)
        for row, (first, last) in enumerate(pairwise(bounds), start=start):
            profile = Profile(genes, columns[first:last], block.data[first:last])
            name = str(self.ids[row])
            source = self.sources[row] if self.sources else self._place(row)
            yield roles.record(name, profile, self.columns, row, source)

    def _check_shape(self) -> None:
        shape = (len(self.ids), len(next(iter(self.namings.values()))))
        if tuple(self.matrix.shape) != shape:
            raise DataError(
                f"{self.where}: the matrix is {tuple(self.matrix.shape)}, but there are {shape[0]} cells and "
                f"{shape[1]} genes; is it genes by cells, or cut short?"
            )
        if 0 in shape:
            raise DataError(f"{self.where}: there are {shape[0]} cells and {shape[1]} genes; give a file with both")

    def _check_columns(self, roles: Roles) -> None:
        for column in roles.required:
            if column not in self.columns:
                turned = " It describes genes: cells and genes are swapped, transpose the file"
                swapped = turned if column in self.namings else ""
                hint = nearest(column, self.columns) if self.columns else "Give it with reader.annotations=FILE.csv."
                raise DataError(f"{self.where}: the cells have no column {column!r}. {hint}{swapped}")
