"""FASTA files, plain or with biotrainer's header fields."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from labtune.data.reading import open_text
from labtune.errors import DataError

SUFFIXES = (".fasta", ".fa", ".faa", ".fas")
_FIELD = re.compile(r"(?:^|\s)([A-Z][A-Z_]*)=(\S*)")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a FASTA file.

    Parameters
    ----------
    id
        The header up to the first blank.
    description
        The header after the id.
    fields
        What the header says as ``KEY=value``, such as biotrainer's ``SET``, ``TARGET`` and ``MASK``.
    text
        The lines below the header, put together.
    source
        ``"file:line"`` of the header.
    """

    id: str
    description: str
    fields: Mapping[str, str]
    text: str
    source: str


def is_fasta(path: Path) -> bool:
    """Tell by the suffix, before which ``.gz`` is taken off."""
    return path.name.removesuffix(".gz").lower().endswith(SUFFIXES)


def read_fasta(path: Path) -> Iterator[Entry]:
    """Yield the entries of a FASTA file, which may be compressed.

    Raises
    ------
    DataError
        If there is text before the first header, a header without id, or an entry without text.
    """
    header, begin, lines = "", 0, []
    for number, line in open_text(path):
        if line.startswith(">"):
            if begin:
                yield _entry(path, begin, header, lines)
            header, begin, lines = line[1:], number, []
        elif line.strip():
            if not begin:
                raise DataError(f"{path}:{number}: text before the first '>'; this is no FASTA file")
            lines.append(line.strip())
    if not begin:
        raise DataError(f"{path}: no line begins with '>'; this is no FASTA file")
    yield _entry(path, begin, header, lines)


def _entry(path: Path, number: int, header: str, lines: list[str]) -> Entry:
    name, *rest = header.split(maxsplit=1) or [""]
    source = f"{path}:{number}"
    if not name:
        raise DataError(f"{source}: the header has no id; write '>id'")
    if not lines:
        raise DataError(f"{source}: entry {name!r} is empty; add its sequence or remove it")
    description = rest[0] if rest else ""
    return Entry(name, description, dict(_FIELD.findall(description)), "".join(lines), source)
