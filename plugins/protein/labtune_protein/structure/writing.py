"""Chains as PDB text, for programs and viewers."""

from __future__ import annotations

import numpy as np
from Bio.SeqUtils import seq3

from labtune_protein.structure.chains import Chain

ATOMS = ("N", "CA", "C", "O")
LONGEST = 9999  # residues of a chain, by the columns of the format
ATOM = (
    "ATOM  {serial:5d}  {name:<3s} {residue:3s} {chain}{number:4d}    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00"
    "           {element}\n"
)


def backbone_text(chain: Chain, name: str) -> str:
    """Write the residues whose backbone is whole, numbered by their place in the sequence from 1.

    Parameters
    ----------
    chain
        At most ``LONGEST`` residues.
    name
        One letter for the chain.
    """
    lines = []
    for row in np.flatnonzero(np.isfinite(chain.backbone).all(axis=(1, 2))):
        residue = seq3(chain.sequence[row]).upper().replace("XAA", "ALA")
        for atom, (x, y, z) in zip(ATOMS, chain.backbone[row], strict=True):
            place = {"number": row + 1, "x": x, "y": y, "z": z}
            serial = len(lines) % 99_999 + 1
            lines.append(ATOM.format(serial=serial, name=atom, residue=residue, chain=name, element=atom[0], **place))
    return "".join([*lines, "TER\n"])
