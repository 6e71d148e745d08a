"""Files of proteins to records: FASTA in its several ways, tables, structures."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

from labtune.data.reading import Columns, read_table
from labtune.errors import DataError, SettingsError
from labtune.specs import Record
from labtune_protein.alphabet import clean
from labtune_protein.fasta import Entry, is_fasta, read_fasta
from labtune_protein.residue_labels import FOLLOWERS, align, read_companions, split_labels
from labtune_protein.states import read_states
from labtune_protein.structure.files import is_structure

log = logging.getLogger(__name__)

TABLE: Columns = {"input": "sequence", "target": "target"}


class ResidueOptions(Columns, total=False):
    """Options of :func:`read_residues`."""

    labels: str
    mask: str


def read_sequences(
    path: Path,
    *,
    labelled: bool,
    header: str = "",
    **columns: Unpack[Columns],
) -> Iterator[Record]:
    """Yield sequences with one target each.

    Parameters
    ----------
    path
        FASTA (the target as ``TARGET=`` in the header), CSV, TSV, JSON Lines, Parquet; a structure, or a
        ``.list`` of them, gives chains.
    labelled
        Whether targets are read.
    header
        A regular expression that finds the target of a FASTA entry in its header after the id, as its first group:
        ``"(.+)-[MSU]"`` reads DeepLoc's. Empty for ``TARGET=``.
    columns
        Options of a table; its columns are ``sequence`` and ``target`` by default.

    Raises
    ------
    DataError
        If a file, a sequence or a header cannot be read.
    """
    if is_structure(path):
        records: Iterator[Record] = _chains(path)
    elif is_fasta(path):
        pattern = _pattern(header or r"(?:^|\s)TARGET=(\S+)")
        records = (_entry_record(entry, pattern if labelled else None) for entry in read_fasta(path))
    else:
        records = read_table(path, labelled=labelled, **(TABLE | columns))
    yield from _cleaned(records, path)


def read_residues(
    path: Path,
    *,
    labelled: bool,
    labels: str = "",
    mask: str = "mask",
    **columns: Unpack[Columns],
) -> Iterator[Record]:
    """Yield sequences with one target a residue; None where it is masked.

    Parameters
    ----------
    path
        FASTA, with the labels as ``TARGET=`` and ``MASK=`` in its headers (biotrainer), or in files beside it:
        ``NAME.sequences.fasta`` with ``NAME.labels….fasta`` and ``NAME.mask.fasta`` (FLIP). Or a table whose target is
        a text with one letter a residue, or a list. Or PDB and mmCIF, or a ``.list`` of them, which give relative
        accessibilities.
    labelled
        Whether targets are read.
    labels
        Which file beside ``NAME.sequences.fasta`` has the labels, when there are several: ``labels_dssp8``.
    mask
        Name of the mask's column or file; 0 hides a label. It may be absent.
    columns
        Options of a table, as for :func:`read_sequences`.

    Raises
    ------
    DataError
        If a file cannot be read, or a record has another number of labels than residues.
    """
    if is_structure(path):
        records: Iterator[Record] = _chains(path, "accessibility" if labelled else None)
    elif is_fasta(path):
        records = _labelled_entries(path, labels, mask) if labelled else _plain(path)
    else:
        records = read_table(path, labelled=labelled, **(TABLE | columns))
        if labelled:
            records = (_table_labels(record, mask) for record in records)
    yield from _cleaned(records, path)


def read_secondary_structure(
    path: Path, *, labelled: bool, states: int = 3, **options: Unpack[ResidueOptions]
) -> Iterator[Record]:
    """Yield sequences with a secondary structure state a residue.

    Parameters
    ----------
    path
        What :func:`read_residues` reads; of structures the states are assigned from the coordinates.
    labelled
        Whether states are read.
    states
        3 or 8; see :func:`labtune_protein.states.read_states`.
    options
        Those of :func:`read_residues`.
    """
    if is_structure(path):
        records: Iterator[Record] = _cleaned(_chains(path, "states" if labelled else None), path)
    else:
        records = read_residues(path, labelled=labelled, **options)
    for record in records:
        yield _with_states(record, states) if labelled else record


def _with_states(record: Record, states: int) -> Record:
    try:
        written = "".join("X" if label is None else label for label in record.target)
        return replace(record, target=read_states(written, states))
    except ValueError as error:
        raise DataError(f"{record.source}: record {record.id!r} {error}") from None


def _chains(path: Path, derived: Any = None) -> Iterator[Record]:
    from labtune_protein.structure.records import chain_records

    return chain_records(path, derived)


def _cleaned(records: Iterator[Record], path: Path) -> Iterator[Record]:
    """Bring the sequences into the letters that encoders know, and tell how many were changed."""
    counts = Counter[str]()
    for record in records:
        try:
            cleaned = clean(record.input)
        except ValueError as error:
            raise DataError(f"{record.source}: record {record.id!r} {error}") from None
        if not cleaned.sequence:
            raise DataError(f"{record.source}: record {record.id!r} has no residue; fill its sequence or remove it")
        counts["replaced"] += cleaned.replaced
        counts["removed"] += len(record.input) - len(cleaned.kept)
        yield replace(record, input=cleaned.sequence, target=align(record, cleaned))
    if counts.total():
        log.warning(
            "%s: %d letters are read as X, and %d gaps, blanks and stops are left out",
            path,
            counts["replaced"],
            counts["removed"],
        )


def _pattern(header: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(header)
    except re.error as error:
        raise SettingsError(f"reader option header is no regular expression: {error}") from None
    if not pattern.groups:
        raise SettingsError("reader option header has no group; put what is the target in parentheses")
    return pattern


def _entry_record(entry: Entry, pattern: re.Pattern[str] | None) -> Record:
    target = None
    if pattern is not None:
        found = pattern.search(entry.description)
        if found is None:
            raise DataError(
                f"{entry.source}: no target in the header of {entry.id!r}; write TARGET=…, or say with the reader "
                f"option header how it is found"
            )
        target = found.group(1)
    return Record(id=entry.id, input=entry.text, target=target, columns=_columns(entry), source=entry.source)


def _columns(entry: Entry) -> dict[str, str]:
    """Other fields of the header, in lower case, such as ``set`` for splitting by column."""
    return {key.lower(): value for key, value in entry.fields.items() if key not in ("TARGET", "MASK")}


def _plain(path: Path) -> Iterator[Record]:
    return (_entry_record(entry, None) for entry in read_fasta(path))


def _labelled_entries(path: Path, labels: str, mask: str) -> Iterator[Record]:
    companions = read_companions(path, labels, mask)
    for entry in read_fasta(path):
        fields = {**entry.fields, **companions.get(entry.id, {})}
        if "TARGET" not in fields:
            raise DataError(
                f"{entry.source}: no labels for {entry.id!r}; write TARGET=… into the header, or put them into "
                f"{FOLLOWERS} beside NAME.sequences.fasta"
            )
        columns = {key.lower(): value for key, value in fields.items() if key not in ("TARGET", "MASK")}
        record = Record(id=entry.id, input=entry.text, columns=columns, source=entry.source)
        yield replace(record, target=split_labels(record, fields["TARGET"], fields.get("MASK")))


def _table_labels(record: Record, mask: str) -> Record:
    hidden: Any = record.columns.get(mask)
    written: str | Sequence[Any] = record.target
    columns = {name: value for name, value in record.columns.items() if name != mask}
    return replace(record, target=split_labels(record, written, hidden), columns=columns)
