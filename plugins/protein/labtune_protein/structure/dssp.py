"""Secondary structure by the program ``mkdssp``, where it is installed (Debian's package ``dssp``).

It sees the bonds between the chains of a file as well, which the built-in assignment does not.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from string import ascii_uppercase

from labtune.errors import DataError
from labtune_protein.structure.chains import Chain
from labtune_protein.structure.states import UNRESOLVED
from labtune_protein.structure.writing import LONGEST, backbone_text

PROGRAM = "mkdssp"
NAMES = ascii_uppercase  # of the chains in the file that the program is given
HEADER = (
    "HEADER    PROTEIN                                 01-JAN-00   1XXX\n"
    "CRYST1    1.000    1.000    1.000  90.00  90.00  90.00 P 1           1\n"
)  # without them the program takes the file for mmCIF
# Columns of a line of the classic output: residue number, chain, state.
NUMBER, CHAIN, STATE = slice(5, 10), 11, 16
COIL = " P"  # blank, and the poly-proline helix of newer versions


def find_program() -> str | None:
    """Return the path of the program; None where it is not installed."""
    return shutil.which(PROGRAM)


def fits(chains: Sequence[Chain]) -> bool:
    """Say whether the chains can be written for the program."""
    return len(chains) <= len(NAMES) and all(len(chain.sequence) <= LONGEST for chain in chains)


def assign_by_program(chains: Sequence[Chain], program: str) -> list[str]:
    """Return one of ``HBEGITSC`` a residue for every chain, and X for residues without backbone.

    Parameters
    ----------
    chains
        Those of one file, which :func:`fits` has accepted.
    program
        Path of ``mkdssp``.

    Raises
    ------
    DataError
        If the program fails; the message has its last line.
    """
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder) / "chains.pdb", Path(folder) / "chains.dssp"
        atoms = "".join(backbone_text(chain, name) for chain, name in zip(chains, NAMES, strict=False))
        given.write_text(f"{HEADER}{atoms}END\n")
        outcome = subprocess.run(
            [program, "--output-format", "dssp", given, found], capture_output=True, text=True, check=False
        )
        if outcome.returncode or not found.exists():
            said = outcome.stderr.strip().splitlines()[-1:] or [f"exit code {outcome.returncode}"]
            raise DataError(f"{PROGRAM} failed: {said[0]}; take it from the PATH to use the built-in assignment")
        return _read(found.read_text(), chains)


def _read(text: str, chains: Sequence[Chain]) -> list[str]:
    """Take the states from the classic output."""
    states = [["C" if known else UNRESOLVED for known in chain.resolved] for chain in chains]
    _, _, body = text.partition("  #  RESIDUE")
    for line in body.splitlines()[1:]:
        if line[NUMBER].strip():  # a break of the chain has none
            row = int(line[NUMBER]) - 1
            state = line[STATE]
            states[NAMES.index(line[CHAIN])][row] = "C" if state in COIL else state
    return ["".join(row) for row in states]
