"""From a record back to the structure that it was read from."""

from __future__ import annotations

from pathlib import Path

from labtune.errors import DataError
from labtune.specs import Record
from labtune_protein.structure.chains import Chain
from labtune_protein.structure.files import is_structure
from labtune_protein.structure.reading import read_chains


def chain_of(record: Record) -> Chain | None:
    """Return the chain of a record; None when it came from another kind of file, or the file is not there any more."""
    file, _, name = record.source.rpartition(":")
    path = Path(file)
    if not (file and is_structure(path) and path.exists()):
        return None
    try:
        chains = read_chains(path)
    except DataError:
        return None
    return next((chain for chain in chains if chain.id == name and len(chain.sequence) == len(record.input)), None)
