"""One cell or sample as an input: the genes with a value other than zero."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

State = Literal["counts", "log", "scaled"]
STATES = ("counts", "log", "scaled")
TARGET_SUM = 10_000.0
VERSIONED = re.compile(r"(ENS[A-Z]*\d+)\.\d+")  # an Ensembl id; one that goes on, as those of PAR_Y do, is another gene


@dataclass(frozen=True, eq=False)
class Genes:
    """The columns of a matrix, shared by all its profiles.

    Parameters
    ----------
    names
        As the file has them, each once.
    state
        What the values are: ``counts``; ``log``, normalised to one total and on a logarithmic scale; ``scaled``, any
        numbers.
    others
        Further names of the same columns, such as symbols beside Ensembl ids, by what the file calls them.
    where
        Names file and matrix in messages.
    """

    names: tuple[str, ...]
    state: State
    others: Mapping[str, Sequence[str]] = field(default_factory=dict)
    where: str = ""

    @cached_property
    def places(self) -> dict[str, int]:
        """Column of each gene, by its key."""
        return places_of(self.names)

    @cached_property
    def all_places(self) -> dict[str, dict[str, int]]:
        """Column of each gene by its key, under every naming; the file's first one is called ``names``."""
        return {"names": self.places, **{name: places_of(found) for name, found in self.others.items()}}


@dataclass(frozen=True, eq=False)
class Profile:
    """Values ``(K,)`` of the columns ``(K,)`` that are not zero.

    It has the ``dtype``, ``shape`` and ``tobytes`` of an array, so that equal profiles are found as equal inputs.
    """

    genes: Genes
    columns: NDArray[np.int32]
    values: NDArray[np.float32]

    @classmethod
    def of(cls, genes: Genes, row: NDArray[Any]) -> Profile:
        """Make the profile of a dense row ``(G,)``."""
        columns = np.flatnonzero(row).astype(np.int32)
        return cls(genes, columns, row[columns].astype(np.float32))

    @property
    def dtype(self) -> np.dtype[np.float32]:
        """Of the values."""
        return self.values.dtype

    @property
    def shape(self) -> tuple[int]:
        """Number of columns of the matrix."""
        return (len(self.genes.names),)

    def tobytes(self) -> bytes:
        """Columns and values."""
        return self.columns.tobytes() + self.values.tobytes()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Profile):
            return NotImplemented
        return self.genes.names == other.genes.names and self.tobytes() == other.tobytes()

    def __hash__(self) -> int:
        return hash(self.tobytes())

    def normalised(self) -> NDArray[np.float32]:
        """Values ``(K,)`` as ``log(1 + x)`` of counts scaled to 10,000 a cell; those of another state as they are."""
        if self.genes.state != "counts":
            return self.values
        scaled: NDArray[np.float32] = np.log1p(self.values * (TARGET_SUM / self.values.sum()))
        return scaled


def gene_key(name: str) -> str:
    """What genes are matched by: the name, an Ensembl id without its version."""
    found = VERSIONED.fullmatch(name)
    return found[1] if found else name


def places_of(names: Sequence[str]) -> dict[str, int]:
    """Column of each key that one column alone has."""
    keys = [gene_key(name) for name in names]
    repeated = {key for key, count in Counter(keys).items() if count > 1}
    return {key: place for place, key in enumerate(keys) if key not in repeated}


def first_repeated(names: Sequence[str]) -> str | None:
    """Return the first name that occurs again, or None."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
