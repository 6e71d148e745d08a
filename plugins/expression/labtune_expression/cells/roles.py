"""Which column of a file means what, and rows to records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from labtune.specs import Record
from labtune_expression.cells.profile import Genes, Profile
from labtune_expression.cells.states import check_row


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

    @property
    def all(self) -> tuple[str, ...]:
        """Columns that are no genes."""
        return (*self.required, self.id)

    def record(self, named: Mapping[str, Any], name: str, genes: Genes, row: NDArray[Any], source: str) -> Record:
        """Make the record of one row ``(G,)``; raises DataError for impossible values."""
        check_row(row, genes, source)
        return Record(
            id=name,
            input=Profile.of(genes, row),
            target=named[self.target] if self.target else None,
            group=str(named[self.group]) if self.group else None,
            columns={column: named[column] for column in self.others},
            source=source,
        )
