"""Files to sequence records: tables, FASTA, and intervals of a genome."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from labtune.data.reading import open_text, read_table
from labtune.errors import DataError, SettingsError, nearest
from labtune.specs import Record
from labtune_expression.alphabet import normalise
from labtune_expression.genome import read_intervals

FASTA = (".fasta", ".fa", ".fna", ".fas")


def read(
    path: Path,
    *,
    labelled: bool,
    input: str = "sequence",  # noqa: A002 - the user's word for the column
    target: str | Sequence[str] = "expression",
    id: str = "id",  # noqa: A002 - likewise
    group: str = "",
    genome: str = "",
) -> Iterator[Record]:
    """Yield the sequences of a table (CSV, TSV, JSON Lines, Parquet), FASTA or BED file, by its suffix.

    Parameters
    ----------
    path
        The file; ``.gz`` may follow.
    labelled
        Whether the target is read.
    input
        Column of a table with the sequence.
    target
        Column of a table, ``key=value`` in a FASTA header, or column of a BED file; several names give several numbers
        a record, of which some may be empty or ``NA``.
    id, group
        Likewise; the first word of a FASTA header and the name column of a BED file are the id.
    genome
        FASTA file that the intervals of a BED file are read from.

    Yields
    ------
    Record
        With a sequence of capital letters, T for U.

    Raises
    ------
    DataError
        If the file cannot be read, a sequence holds something that is no nucleotide, or an interval is not on its
        chromosome.
    SettingsError
        If a BED file comes without a genome.
    """
    path = Path(path)
    names = [target] if isinstance(target, str) else list(target)
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    if suffix in FASTA:
        records = _read_fasta(path, group)
    elif suffix == ".bed":
        if not genome:
            raise SettingsError(f"{path} names intervals of a genome: add --set reader.genome=GENOME.fasta")
        records = read_intervals(path, Path(genome), group)
    else:
        records = read_table(path, labelled=False, input=input, id=id, group=group)
    for record in records:
        sequence = normalise(record.input, f"{record.source}: record {record.id!r}")
        yield replace(_labelled(record, names) if labelled else record, input=sequence)


def _labelled(record: Record, names: Sequence[str]) -> Record:
    """Take the targets out of the columns."""
    columns = dict(record.columns)
    for name in names:
        if name not in columns:
            raise DataError(
                f"{record.source}: no target {name!r}. {nearest(name, columns)} Set reader.target to the column, "
                f"or to the key=value of a FASTA header"
            )
    found = [columns.pop(name) for name in names]
    target = found[0] if len(names) == 1 else [_number_or_gap(value) for value in found]
    return replace(record, target=target, columns=columns)


def _number_or_gap(value: Any) -> Any:
    missing = isinstance(value, str) and value.strip().lower() in ("", "na", "nan")
    return None if missing else value


def _read_fasta(path: Path, group: str) -> Iterator[Record]:
    header, letters, line = "", list[str](), 0
    for number, text in open_text(path):
        if text.startswith(">"):
            if line:
                yield _fasta_record(path, line, header, letters, group)
            header, letters, line = text[1:], [], number
        elif text.strip() and not line:
            raise DataError(f"{path}:{number}: a FASTA file starts with a line '>name'")
        else:
            letters.append(text.strip())
    if line:
        yield _fasta_record(path, line, header, letters, group)


def _fasta_record(path: Path, line: int, header: str, letters: Sequence[str], group: str) -> Record:
    words = header.split()
    if not words:
        raise DataError(f"{path}:{line}: the header has no name; write '>name'")
    columns: Mapping[str, str] = dict(word.split("=", 1) for word in words[1:] if "=" in word)
    if group and group not in columns:
        raise DataError(
            f"{path}:{line}: the header has no {group}=…, by which records are grouped; add it to every one"
        )
    return Record(
        id=words[0],
        input="".join(letters),
        group=columns.get(group) if group else None,
        columns=columns,
        source=f"{path}:{line}",
    )
