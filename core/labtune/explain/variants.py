"""Changes of records as a file tells them: a table with the columns id, position, ref and alt, or a VCF file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from labtune.data.reading import open_text, read_table
from labtune.errors import DataError, nearest
from labtune.specs import Record

COLUMNS = ("id", "position", "ref", "alt")
VCF = 5  # columns that are read: CHROM, POS, ID, REF, ALT
EMPTY = ("-", ".")  # how tables write that nothing is there

Spelling = Callable[[str, str], str]


@dataclass(frozen=True, slots=True)
class Variant:
    """A change of one record.

    Parameters
    ----------
    id
        Of the record.
    position
        Of the first changed letter, from 1.
    ref, alt
        What stands there, and what comes in its place; either may be empty.
    source
        ``file:line``, for messages.
    """

    id: str
    position: int
    ref: str
    alt: str
    source: str

    def of(self, record: Record, spelling: Spelling) -> Record:
        """Return the changed record.

        Parameters
        ----------
        record
            Its input is a text.
        spelling
            Brings letters into the form that the task's reader gives them.

        Raises
        ------
        DataError
            If the reference is not what the record has there, or nothing would be left.
        """
        text, start = record.input, self.position - 1
        if not isinstance(text, str):
            raise DataError(f"{self.source}: records of this task are no texts, so nothing can be put in their place")
        ref, alt = (spelling(letters, self.source) if letters else "" for letters in (self.ref, self.alt))
        if not 0 <= start <= len(text) - len(ref):
            raise DataError(
                f"{self.source}: position {self.position} with {len(ref)} letters lies outside record {self.id!r}, "
                f"which has {len(text)}; positions count from 1"
            )
        found = text[start : start + len(ref)]
        if found != ref:
            raise DataError(
                f"{self.source}: the reference is {ref!r}, but record {self.id!r} has {found!r} at position "
                f"{self.position}; check position, strand and file"
            )
        changed = text[:start] + alt + text[start + len(ref) :]
        if not changed:
            raise DataError(f"{self.source}: the variant leaves nothing of record {self.id!r}")
        return replace(record, input=changed)


def read_variants(path: Path) -> Iterator[Variant]:
    """Yield the variants of a table or VCF file, by its suffix.

    Raises
    ------
    DataError
        If a column is missing, or a position is no whole number.
    """
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    yield from _read_vcf(path) if suffix == ".vcf" else _read_columns(path)


def spelling_of(tokenizer: Any) -> Spelling:
    """How the task writes its inputs: a tokenizer may say it with ``normalise(text, where)``."""
    own: Spelling | None = getattr(tokenizer, "normalise", None)
    return own or (lambda text, _: text)


def _read_columns(path: Path) -> Iterator[Variant]:
    for row in read_table(path, labelled=False, input="id", id=""):
        cells: Mapping[str, Any] = {"id": row.input, **row.columns}
        for name in COLUMNS:
            if name not in cells:
                raise DataError(f"{row.source}: no column {name!r}. {nearest(name, cells)} A variant has {COLUMNS}")
        ref, alt = ("" if cells[name] in EMPTY or cells[name] is None else str(cells[name]) for name in ("ref", "alt"))
        yield Variant(str(cells["id"]), _position(cells["position"], row.source), ref, alt, row.source)


def _read_vcf(path: Path) -> Iterator[Variant]:
    for number, line in open_text(path):
        if not line.strip() or line.startswith("#"):
            continue
        where, cells = f"{path}:{number}", line.split("\t")
        if len(cells) < VCF:
            raise DataError(f"{where}: not a VCF line; write CHROM, POS, ID, REF and ALT between tabs")
        record, position, _, ref, several = cells[:VCF]
        for alt in several.split(","):
            yield Variant(record, _position(position, where), ref, "" if alt in EMPTY else alt, where)


def _position(cell: Any, where: str) -> int:
    try:
        return int(cell)
    except (TypeError, ValueError):
        raise DataError(f"{where}: position {cell!r} is no whole number") from None
