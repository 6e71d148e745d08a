"""What the numbers of a matrix are, found by looking at them, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labtune.errors import DataError, SettingsError
from labtune_expression.cells.profile import STATES, Genes, State, first_repeated

LARGEST_LOG = 30.0  # no logarithm of a normalised count comes near
HINT = "set reader.matrix to the one that holds counts or log-normalised values"


def detect_state(values: NDArray[Any], where: str) -> State:
    """Say what the values of some rows are.

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
    if not len(known) or bool((known == np.round(known)).all() and (known >= 0).all()):
        return "counts"
    if bool((known < 0).any()):
        return "scaled"
    if float(known.max()) <= LARGEST_LOG:
        return "log"
    raise DataError(
        f"{where}: values up to {known.max():g} that are not whole are neither counts nor log-normalised; {HINT}, "
        f"or set reader.state to counts if they are corrected counts"
    )


def make_genes(names: Sequence[str], state: State, wanted: str, where: str) -> Genes:
    """Check the gene names, and the state against the one that the user or the task names.

    Raises
    ------
    DataError
        If a gene occurs twice, or the matrix is scaled and a cell's expression is asked for.
    SettingsError
        If ``wanted`` is no state.
    """
    repeated = first_repeated(names)
    if repeated is not None:
        raise DataError(f"{where}: the gene {repeated!r} occurs twice; sum or rename such genes, or set reader.genes")
    if wanted not in ("auto", "any", *STATES):
        raise SettingsError(f"reader.state is {wanted!r}; use auto, any, counts, log or scaled")
    if wanted in STATES:
        return Genes(tuple(names), wanted)  # type: ignore[arg-type]
    if wanted == "auto" and state == "scaled":
        raise DataError(f"{where}: the matrix is scaled (it has negative values); {HINT}")
    return Genes(tuple(names), state if wanted == "auto" else "scaled")


def check_row(row: NDArray[Any], genes: Genes, where: str) -> None:
    """Refuse a row ``(G,)`` or its part that no cell can have.

    Raises
    ------
    DataError
        If a value is missing, a count negative, or there is none at all.
    """
    if np.isnan(row).any():
        raise DataError(f"{where}: the value of a gene is missing (NaN); fill it or remove the row")
    if genes.state != "scaled" and (row < 0).any():
        raise DataError(
            f"{where}: a value is negative ({row.min():g}), which a {genes.state} matrix cannot have; {HINT}"
        )
    if genes.state == "counts" and not row.any():
        raise DataError(f"{where}: the cell is empty, all its counts are zero; filter such cells")
