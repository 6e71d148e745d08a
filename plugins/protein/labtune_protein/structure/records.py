"""Structure files to records, one a chain."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from labtune.specs import Record
from labtune_protein.structure.accessibility import relative_accessibility
from labtune_protein.structure.chains import Chain
from labtune_protein.structure.reading import read_chains
from labtune_protein.structure.states import assign

Derived = Literal["states", "accessibility"]


def chain_records(path: Path, derived: Derived | None = None) -> Iterator[Record]:
    """Yield the chains of a structure file, named ``file_chain``.

    Parameters
    ----------
    path
        PDB or mmCIF.
    derived
        What the target is: DSSP's ``states``, relative ``accessibility``, or nothing.
    """
    stem = path.name.split(".")[0]
    derive = {"states": _states, "accessibility": relative_accessibility}.get(derived or "", _nothing)
    for chain in read_chains(path, areas=derived == "accessibility"):
        yield Record(
            id=f"{stem}_{chain.id}",
            input=chain.sequence,
            target=derive(chain),
            group=stem,
            columns={"chain": chain.id, "resolved": chain.resolved_text()},
            source=f"{path}:{chain.id}",
        )


def _states(chain: Chain) -> list[str]:
    return list(assign(chain))


def _nothing(chain: Chain) -> None:
    return None
