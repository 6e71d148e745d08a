"""Files of cells or samples to records: AnnData, 10x, loom, and tables of text."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from labtune.errors import DataError, SettingsError
from labtune.specs import Record, Skipped
from labtune_expression.cells.delimited import read_annotations, read_delimited
from labtune_expression.cells.h5ad import open_h5ad
from labtune_expression.cells.loom import open_loom
from labtune_expression.cells.table import CellTable, Roles
from labtune_expression.cells.tenx import is_10x_folder, open_10x_folder, open_10x_h5

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
    annotations: str = "",
) -> Iterator[Record | Skipped]:
    """Yield the cells of a file: ``.h5ad``, 10x ``.h5`` or ``.mtx`` with its folder, ``.loom``, CSV or TSV.

    Parameters
    ----------
    path
        The file, or the folder with ``matrix.mtx``. ``.h5ad``, ``.h5`` and ``.loom`` may be larger than memory. A table
        has a row a cell and may end in ``.gz``.
    labelled
        Whether the target is read.
    target, id, group
        Columns of what the file says of its cells. The id is for tables of text, where a row's number stands in for it;
        other files name their cells.
    columns
        Further columns to keep. Of a table every other column is a gene.
    matrix
        Of ``.h5ad`` and ``.loom``: ``X``, ``layers/NAME``, or of the former ``raw``.
    genes
        Column of ``var`` with the gene names; its index by default. The others help where names do not match.
    state
        What the values are: ``auto`` finds out and refuses what is scaled, ``any`` takes numbers as they are, or
        ``counts``, ``log``, ``scaled``.
    unlabelled
        ``refuse`` or ``skip`` cells without a target (empty, ``NA``, ``nan``) when it is read.
    annotations
        CSV or TSV file with a row a cell that says more of the cells, for files that hold counts alone.

    Yields
    ------
    Record or Skipped
        A record has a :class:`labtune_expression.cells.profile.Profile` as input.

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
    opened = _open(path, matrix)
    if opened is None:
        records = read_delimited(path, roles, not_genes=() if labelled else (target,), state=state)
    else:
        records = _read_table(opened, roles, genes, state, annotations)
    yield from _with_target(records, unlabelled) if labelled else records


def _open(path: Path, matrix: str) -> AbstractContextManager[CellTable] | None:
    """Open what is no table of text, by its name."""
    suffix = path.suffix.lower()
    if suffix == ".h5ad":
        return open_h5ad(path, matrix=matrix)
    if suffix == ".loom":
        return open_loom(path, matrix=matrix)
    if suffix in (".h5", ".hdf5"):
        return open_10x_h5(path)
    if is_10x_folder(path):
        return open_10x_folder(path)
    if Path(path.name.removesuffix(".gz")).suffix.lower() not in (".csv", ".tsv"):
        raise DataError(f"{path}: unknown kind of file; give .h5ad, .loom, 10x .h5 or .mtx, .csv or .tsv")
    return None


def _read_table(
    opened: AbstractContextManager[CellTable], roles: Roles, genes: str, state: str, annotations: str
) -> Iterator[Record]:
    with opened as table:
        if annotations and roles.required:
            table = _annotated(table, Path(annotations), roles)
        yield from table.records(roles, table.genes(state, genes))


def _annotated(table: CellTable, path: Path, roles: Roles) -> CellTable:
    """Add the columns of an annotation file; a cell that it does not name has empty fields."""
    said = read_annotations(path, roles.id)
    known = sum(name in said for name in table.ids)
    if not known:
        first = next(iter(said), "nothing")
        raise DataError(
            f"{path}: names none of the cells of {table.where}: {first!r} here, {str(table.ids[0])!r} there"
        )
    log.info("%s: describes %d of %d cells; %d others", path, known, len(table.ids), len(said) - known)
    names = next(iter(said.values()))
    added = {name: [said.get(cell, {}).get(name, "") for cell in table.ids] for name in names}
    return replace(table, columns={**table.columns, **added})


def _with_target(records: Iterator[Record], unlabelled: str) -> Iterator[Record | Skipped]:
    """Refuse or skip what has no label."""
    for record in records:
        if str(record.target).strip().lower() not in MISSING:
            yield record
        elif unlabelled == "skip":
            yield Skipped("without a label", record.source)
        else:
            raise DataError(
                f"{record.source}: cell {record.id!r} has no label; remove it, or add --set reader.unlabelled=skip"
            )
