"""Names of structure files, and lists of them."""

from __future__ import annotations

from pathlib import Path

from labtune.data.reading import open_text
from labtune.errors import DataError

PDB = (".pdb", ".ent")
MMCIF = (".cif", ".mmcif")
LIST = ".list"


def is_structure(path: Path) -> bool:
    """Tell by the suffix, before which ``.gz`` is taken off; a list of structures counts as well."""
    return _ends(path, (*PDB, *MMCIF, LIST))


def structure_files(path: Path) -> list[Path]:
    """Return the structure itself, or those that a list names, one a line, relative to itself.

    Raises
    ------
    DataError
        If the list cannot be read, or names something else.
    """
    if not _ends(path, (LIST,)):
        return [path]
    files = []
    for number, line in open_text(path):
        if name := line.strip():
            files.append(path.parent / name)
            if not _ends(files[-1], PDB + MMCIF):
                suffixes = ", ".join(PDB + MMCIF)
                raise DataError(f"{path}:{number}: {name!r} is no structure; name a file a line, {suffixes}")
    if not files:
        raise DataError(f"{path}: names no structure; write one file a line")
    return files


def _ends(path: Path, suffixes: tuple[str, ...]) -> bool:
    return path.name.removesuffix(".gz").lower().endswith(suffixes)
