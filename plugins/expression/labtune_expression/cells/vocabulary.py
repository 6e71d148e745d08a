"""The genes that a model knows: chosen from training cells, and found again in other files under any of their names."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from labtune.errors import DataError
from labtune.specs import Record
from labtune_expression.cells.profile import Genes, gene_key

LEAST_COVERAGE = 0.5  # of the vocabulary; a file with less is another organism, or names genes otherwise
log = logging.getLogger(__name__)


class Match(NamedTuple):
    """Place in a vocabulary of each column of a file, G for none; and which genes are missing ``(G,)``."""

    place_of: NDArray[np.int64]
    missing: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class GeneVocabulary:
    """Genes in a fixed order.

    Parameters
    ----------
    namings
        Names of the G genes ``(G,)`` under each naming that training files had; the first is the one they went by. The
        empty text where a gene has no name.
    """

    namings: Mapping[str, Sequence[str]]
    matches: WeakKeyDictionary[Genes, Match] = field(default_factory=WeakKeyDictionary, repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The usual names."""
        return tuple(next(iter(self.namings.values()), ()))

    def __len__(self) -> int:
        return len(self.names)

    def match(self, genes: Genes) -> Match:
        """Find the genes of a file.

        Names are compared under every naming of both sides; the pair of namings with most genes in common counts.

        Raises
        ------
        DataError
            If the file has less than half of the vocabulary.
        """
        if genes not in self.matches:
            self.matches[genes] = self._match(genes)
        return self.matches[genes]

    def _match(self, genes: Genes) -> Match:
        tried = {
            (own, theirs): np.array([places.get(gene_key(name), -1) if name else -1 for name in names])
            for own, names in self.namings.items()
            for theirs, places in genes.all_places.items()
        }
        (_, naming), columns = max(tried.items(), key=lambda item: int((item[1] >= 0).sum()))
        known = columns >= 0
        where = f"{genes.where}: " if genes.where else ""
        if known.mean() < LEAST_COVERAGE:
            raise DataError(
                f"{where}the file has {known.sum()} of the model's {len(known)} genes ({known.mean():.0%}); "
                f"name them as in the training data, such as {self.names[0]!r} (reader.genes); genes are columns"
            )
        log.log(
            logging.INFO if known.all() else logging.WARNING,
            f"{where}{known.sum():,} of the model's {len(known):,} genes found by {naming} ({known.mean():.1%}), "
            f"{(~known).sum():,} missing; {len(genes.names) - known.sum():,} genes of the file are not the model's",
        )
        place_of = np.full(len(genes.names), len(known))
        place_of[columns[known]] = np.flatnonzero(known)
        return Match(place_of, ~known)


@dataclass(frozen=True)
class Moments:
    """What training cells say of all their genes: ``namings`` as a vocabulary has them, and arrays ``(G,)``."""

    namings: Mapping[str, Sequence[str]]
    means: NDArray[np.float64]
    deviations: NDArray[np.float64]
    typical: NDArray[np.float64]

    def most_variable(self, size: int) -> NDArray[np.int64]:
        """Rows of the genes with the largest variance, in order; raises DataError if none varies."""
        chosen = np.sort(np.argsort(-self.deviations, kind="stable")[:size])
        chosen = chosen[self.deviations[chosen] > 0]
        if not len(chosen):
            raise DataError("no gene varies in the training data; check the matrix")
        return chosen

    def vocabulary(self, rows: NDArray[np.int64]) -> GeneVocabulary:
        """Make a vocabulary of some genes."""
        return GeneVocabulary({naming: [names[row] for row in rows] for naming, names in self.namings.items()})


def moments(records: Sequence[Record]) -> Moments:
    """Mean, deviation and mean where it is not zero of the normalised expression of every gene of training cells."""
    places: dict[str, int] = {}
    columns: dict[int, NDArray[np.int64]] = {}
    namings: dict[str, dict[int, str]] = {"names": {}}
    for genes in {id(record.input.genes): record.input.genes for record in records}.values():
        own = np.array([places.setdefault(gene_key(name), len(places)) for name in genes.names])
        columns[id(genes)] = own
        for naming, names in {"names": genes.names, **genes.others}.items():
            known = namings.setdefault(naming, {})
            for place, name in zip(own.tolist(), names, strict=True):
                known.setdefault(place, name)
    sums, squares, counts = (np.zeros(len(places)) for _ in range(3))
    for record in records:
        values = record.input.normalised().astype(float)
        where = columns[id(record.input.genes)][record.input.columns]
        sums[where] += values
        squares[where] += values**2
        counts[where] += 1
    means = sums / len(records)
    return Moments(
        namings={naming: [known.get(place, "") for place in range(len(places))] for naming, known in namings.items()},
        means=means,
        deviations=np.sqrt(np.maximum(squares / len(records) - means**2, 0)),
        typical=sums / np.maximum(counts, 1),
    )


def vocabulary_state(vocabulary: GeneVocabulary) -> dict[str, Any]:
    """A vocabulary as JSON types."""
    return {naming: list(names) for naming, names in vocabulary.namings.items()}
