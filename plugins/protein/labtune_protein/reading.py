"""Files of proteins to records."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from labtune.errors import DataError
from labtune.specs import Record

from labtune_protein.alphabet import clean
from labtune_protein.fasta import is_fasta, read_fasta


def read_sequences(path: Path, *, labelled: bool) -> Iterator[Record]:
    """Placeholder."""
    for entry in read_fasta(path):
        yield Record(id=entry.id, input=clean(entry.text).sequence, source=entry.source)
