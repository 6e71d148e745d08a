"""PDB and mmCIF files to chains, through Biopython, by rules that are the same for both formats.

- Of several models the first is read.
- Of alternative positions that with the highest occupancy is taken, as Biopython does.
- A modified residue counts as the standard one that it derives from (selenomethionine is methionine); one that has none
  is X. Water, ligands and nucleic acids are left out.
- Residues go in the order of the file: insertion codes sort after the plain number, as 52, 52A, 53.
- A residue that the file names without coordinates (SEQRES, _pdbx_poly_seq_scheme) is not part of the chain unless it
  lies in a gap of the numbering; then it is X without coordinates, so that contacts keep their separation.
"""

from __future__ import annotations

import gzip
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from Bio.PDB import MMCIFParser, PDBParser
from Bio.PDB.PDBExceptions import PDBConstructionException, PDBConstructionWarning
from Bio.PDB.SASA import ShrakeRupley
from Bio.SeqUtils import IUPACData

from labtune.errors import DataError
from labtune_protein.alphabet import UNKNOWN
from labtune_protein.structure.chains import Chain
from labtune_protein.structure.files import MMCIF

ATOMS = ("N", "CA", "C", "O")
LONGEST_GAP = 50  # missing residues in a row; a larger jump of the numbers is a convention, not a gap
_STANDARD = {name.upper(): letter for name, letter in IUPACData.protein_letters_3to1.items()}


def read_chains(path: Path, *, areas: bool = False) -> list[Chain]:
    """Read the protein chains of a structure file, which may be compressed.

    Parameters
    ----------
    path
        PDB or mmCIF.
    areas
        Compute what water can reach of each residue, with all chains of the file in place (Shrake and Rupley 1973).

    Raises
    ------
    DataError
        If the file cannot be read or holds no protein chain.
    """
    model = _first_model(path)
    if areas:
        _compute_areas(model)
    chains = [chain for chain in map(_chain, model) if chain is not None]
    if not chains:
        raise DataError(f"{path}: no protein chain with a backbone; give a structure of a protein")
    return chains


def _first_model(path: Path) -> Any:
    is_mmcif = path.name.removesuffix(".gz").lower().endswith(MMCIF)
    parser = MMCIFParser(QUIET=True) if is_mmcif else PDBParser(QUIET=True)
    opener: Any = gzip.open if path.suffix == ".gz" else open
    try:
        with warnings.catch_warnings(), opener(path, "rt") as file:
            warnings.simplefilter("ignore", PDBConstructionWarning)
            return next(iter(parser.get_structure(path.name, file)))
    except (OSError, ValueError, KeyError, StopIteration, PDBConstructionException) as error:
        raise DataError(f"{path}: cannot be read as {'mmCIF' if is_mmcif else 'PDB'} ({error or 'no model'})") from None


def _chain(chain: Any) -> Chain | None:
    """Turn a Biopython chain into ours; None when it is no protein."""
    letters: list[str] = []
    rows: list[np.ndarray] = []
    areas: list[float] = []
    previous: int | None = None
    for residue in chain:
        if not _is_residue(residue):
            continue
        number = residue.id[1]
        gap = number - previous - 1 if previous is not None else 0
        if 0 < gap <= LONGEST_GAP:
            letters += [UNKNOWN] * gap
            rows += [np.full((len(ATOMS), 3), np.nan)] * gap
            areas += [np.nan] * gap
        letters.append(_letter(residue))
        rows.append(np.array([residue[atom].coord if atom in residue else [np.nan] * 3 for atom in ATOMS]))
        areas.append(getattr(residue, "sasa", np.nan))
        previous = number
    if not any(letter != UNKNOWN for letter in letters):
        return None
    return Chain(chain.id.strip() or "A", "".join(letters), np.array(rows, dtype=float), np.array(areas))


def _is_residue(residue: Any) -> bool:
    """Tell residues from water, nucleotides, ligands and calcium, whose atom is called CA as well."""
    return "CA" in residue and ("N" in residue or residue.id[0] == " ")


def _compute_areas(model: Any) -> None:
    """Leave the solvent-accessible area in every residue; what is no residue covers nothing."""
    for chain in model:
        for residue in [residue for residue in chain if not _is_residue(residue)]:
            chain.detach_child(residue.id)
    ShrakeRupley().compute(model, level="R")


def _letter(residue: Any) -> str:
    name = residue.get_resname().strip().upper()
    return _STANDARD.get(name) or MODIFIED.get(name, UNKNOWN)


# Modified residues of the PDB's chemical component dictionary that occur often, with what they derive from.
MODIFIED = {
    "MSE": "M", "SEP": "S", "TPO": "T", "PTR": "Y", "CSO": "C", "CME": "C", "CSD": "C", "OCS": "C", "CSX": "C",
    "KCX": "K", "MLY": "K", "M3L": "K", "ALY": "K", "LLP": "K", "HYP": "P", "PCA": "E", "CGU": "E", "TYS": "Y",
    "NEP": "H", "HIC": "H", "MHO": "M", "FME": "M", "SEC": "U", "PYL": "O", "ASX": "B", "GLX": "Z",
}  # fmt: skip
