"""What the numbers of a matrix are, found by looking at them, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from labtune.errors import DataError, SettingsError
from labtune_expression.cells.profile import STATES, Genes, State, first_repeated, gene_key

LARGEST_LOG = 30.0  # no logarithm of a normalised count comes near
ONE_TOTAL = 0.01  # by how much totals differ that are meant to be one
HINT = "set reader.matrix to the one that holds counts or log-normalised values"


def detect_state(values: NDArray[Any], where: str) -> State:
    """Say what the values of some cells are.

    Parameters
    ----------
    values
        Of any shape, zeros left out or not.
    where
        Names the matrix in messages.

    Raises
    ------
    DataError
        For numbers that are neither whole counts, nor log-normalised, nor scaled around zero.
    """
    known = values[~np.isnan(values)]
    if bool((known == np.round(known)).all()):
        return "counts"  # a negative one among them is named with its cell and gene, see check_block
    if bool((known < 0).any()):
        return "scaled"
    if float(known.max()) <= LARGEST_LOG:
        return "log"
    raise DataError(
        f"{where}: values up to {known.max():g} that are not whole are neither counts nor log-normalised; {HINT}, "
        f"or set reader.state to counts if they are corrected counts"
    )


def make_genes(namings: Mapping[str, Sequence[str]], some: csr_matrix, wanted: str, where: str) -> Genes:
    """Check the gene names, and what some cells hold against what the user or the task wants.

    Parameters
    ----------
    namings
        Names of the genes, the usual ones first.
    some
        Cells that stand for all.
    wanted
        The reader's option ``state``.
    where
        Names the matrix in messages.

    Raises
    ------
    DataError
        If a gene occurs twice, or the matrix is scaled and a cell's expression is asked for.
    SettingsError
        If ``wanted`` is no state.
    """
    if wanted not in ("auto", "any", *STATES):
        raise SettingsError(f"reader.state is {wanted!r}; use auto, any, counts, log or scaled")
    first, *others = namings
    names = tuple(namings[first])
    repeated = first_repeated([gene_key(name) for name in names])
    if repeated is not None:
        raise DataError(
            f"{where}: the gene {repeated!r} occurs twice; sum or rename such genes, or set reader.genes to a column "
            f"of unique names"
        )
    further = {name: tuple(namings[name]) for name in others}
    if wanted in STATES:
        return Genes(names, wanted, further, where)  # type: ignore[arg-type]  # checked above
    if wanted == "any":
        return Genes(names, "scaled", further, where)
    state = detect_state(some.data, where)
    if state == "scaled":
        raise DataError(f"{where}: the matrix is scaled (it has negative values); {HINT}")
    return Genes(names, state, further, where)


def describe_state(genes: Genes, some: csr_matrix) -> str:
    """Say for people what a matrix was taken for."""
    size = f"{len(genes.names):,} genes"
    if genes.state == "scaled":
        return f"{size}, values taken as they are"
    if genes.state == "counts":
        return f"{size}, counts (normalised here to 10,000 a cell, then log(1 + x))"
    totals = np.asarray(csr_matrix((np.expm1(some.data), some.indices, some.indptr), some.shape).sum(axis=1)).ravel()
    spread = totals.std() / max(totals.mean(), 1e-12)
    if spread <= ONE_TOTAL:
        return f"{size}, log-normalised to {totals.mean():,.0f} a cell"
    return f"{size}, taken for log-normalised, although cells have unlike totals, as when genes were left out"


def check_block(block: csr_matrix, genes: Genes, name: Callable[[int], str]) -> None:
    """Refuse cells that cannot be.

    Parameters
    ----------
    block
        Values other than zero, ``(B, G)``.
    genes
        Their columns.
    name
        From the number of a row to what messages call it.

    Raises
    ------
    DataError
        If a value is missing, a count negative, or there is none at all.
    """
    _refuse(np.isnan(block.data), block, genes, name, "is missing (NaN); fill it or remove the cell")
    if genes.state == "scaled":
        return
    clash = f"is negative, which a matrix of {genes.state} cannot have; {HINT}"
    _refuse(block.data < 0, block, genes, name, clash)
    _refuse(np.isinf(block.data), block, genes, name, "is infinite; correct it or remove the cell")
    empty = np.flatnonzero(np.diff(block.indptr) == 0)
    if genes.state == "counts" and len(empty):
        raise DataError(f"{name(int(empty[0]))} is empty, all its counts are zero; filter such cells")


def _refuse(bad: NDArray[np.bool_], block: csr_matrix, genes: Genes, name: Callable[[int], str], message: str) -> None:
    """Name cell and gene of the first bad value."""
    found = np.flatnonzero(bad)
    if len(found):
        row = int(np.searchsorted(block.indptr, found[0], side="right")) - 1
        gene = genes.names[int(block.indices[found[0]])]
        raise DataError(f"{name(row)}: the value of {gene} {message}")
