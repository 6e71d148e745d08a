"""Names of structure files."""

from __future__ import annotations

from pathlib import Path

PDB = (".pdb", ".ent")
MMCIF = (".cif", ".mmcif")


def is_structure(path: Path) -> bool:
    """Tell by the suffix, before which ``.gz`` is taken off."""
    return path.name.removesuffix(".gz").lower().endswith(PDB + MMCIF)
