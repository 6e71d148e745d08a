"""Structure files to records, one a chain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from labtune.specs import Record
from labtune_protein.structure.accessibility import relative_accessibility
from labtune_protein.structure.chains import Chain
from labtune_protein.structure.dssp import assign_by_program, find_program, fits
from labtune_protein.structure.files import structure_files
from labtune_protein.structure.reading import read_chains
from labtune_protein.structure.states import assign

Derived = Literal["states", "accessibility"]


def chain_records(path: Path, derived: Derived | None = None) -> Iterator[Record]:
    """Yield the chains of structures, named ``file_chain``.

    Parameters
    ----------
    path
        PDB or mmCIF, or a ``.list`` of such files.
    derived
        What the target is: DSSP's ``states``, relative ``accessibility``, or nothing.
    """
    for file in structure_files(path):
        stem = file.name.split(".")[0]
        chains = read_chains(file, areas=derived == "accessibility")
        for chain, target in zip(chains, _derive(chains, derived), strict=True):
            yield Record(
                id=f"{stem}_{chain.id}",
                input=chain.sequence,
                target=target,
                group=stem,
                columns={"chain": chain.id, "resolved": chain.resolved_text()},
                source=f"{file}:{chain.id}",
            )


def _derive(chains: Sequence[Chain], derived: Derived | None) -> Sequence[Any]:
    """Derive the target of each chain; states come from ``mkdssp`` where it is installed."""
    if derived == "accessibility":
        return [relative_accessibility(chain) for chain in chains]
    if derived is None:
        return [None] * len(chains)
    program = find_program()
    if program and fits(chains):
        return [list(states) for states in assign_by_program(chains, program)]
    return [list(assign(chain)) for chain in chains]
