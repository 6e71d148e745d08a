"""Structure files to records, one a chain."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from labtune.specs import Record
from labtune_protein.structure.chains import Chain
from labtune_protein.structure.reading import read_chains
from labtune_protein.structure.states import assign


def chain_records(path: Path, *, states: bool = False) -> Iterator[Record]:
    """Yield the chains of a structure file, named ``file_chain``; with ``states`` the target is DSSP's letters."""
    stem = path.name.split(".")[0]
    for chain in read_chains(path):
        yield Record(
            id=f"{stem}_{chain.id}",
            input=chain.sequence,
            target=list(assign(chain)) if states else None,
            group=stem,
            columns={"chain": chain.id, "resolved": resolved_mask(chain)},
            source=f"{path}:{chain.id}",
        )


def resolved_mask(chain: Chain) -> str:
    """Write ``1`` for each residue with a backbone, ``0`` for the others."""
    return "".join("01"[known] for known in chain.resolved.astype(int))
