"""Intervals of a BED file to the sequences that a genome has there, on the strand they are on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from labtune.data.reading import open_text
from labtune.errors import DataError, nearest
from labtune.specs import Record
from labtune_expression.alphabet import normalise, reverse_complement

FIELDS = ("chrom", "start", "end", "name", "score", "strand")  # of BED; further ones are column_7, column_8, …
COMMENTS = ("#", "track", "browser")


def read_intervals(path: Path, genome: Path, group: str) -> Iterator[Record]:
    """Yield one record an interval; starts count from 0 and ends are excluded, as BED says.

    Parameters
    ----------
    path
        BED file of three columns or more; a line ``#chrom start end …`` may name them.
    genome
        FASTA file; an index ``.fai`` is written beside it on first use.
    group
        Column whose value groups the records, such as ``chrom``; none when empty.

    Raises
    ------
    DataError
        If a line is no interval, its chromosome is unknown, or it leaves the chromosome.
    """
    chromosomes = _open_genome(genome)
    names: tuple[str, ...] = ()
    for number, line in open_text(path):
        if line.startswith("#chrom"):
            names = tuple(line[1:].split("\t"))
        if not line.strip() or line.startswith(COMMENTS):
            continue
        where = f"{path}:{number}"
        cells = line.split("\t")
        columns = dict(zip(names or _names(len(cells)), cells, strict=False))
        chromosome, start, end = _interval(cells, where)
        if group and group not in columns:
            raise DataError(f"{where}: no column {group!r}. {nearest(group, columns)}")
        sequence = _sequence(chromosomes, chromosome, start, end, where)
        yield Record(
            id=cells[3] if len(cells) > 3 and cells[3] not in ("", ".") else f"{chromosome}:{start}-{end}",
            input=reverse_complement(normalise(sequence, where)) if _reverse(cells, where) else sequence,
            group=columns[group] if group else None,
            columns=columns,
            source=where,
        )


def _names(count: int) -> tuple[str, ...]:
    return (*FIELDS, *(f"column_{place}" for place in range(len(FIELDS) + 1, count + 1)))[:count]


def _interval(cells: list[str], where: str) -> tuple[str, int, int]:
    try:
        chromosome, start, end = cells[0], int(cells[1]), int(cells[2])
    except (IndexError, ValueError):
        raise DataError(f"{where}: not a BED line; write chromosome, start and end between tabs") from None
    if not 0 <= start < end:
        raise DataError(f"{where}: the interval {start} to {end} is empty or negative; starts count from 0")
    return chromosome, start, end


def _reverse(cells: list[str], where: str) -> bool:
    strand = cells[5] if len(cells) > 5 else "."
    if strand not in ("+", "-", "."):
        raise DataError(f"{where}: the strand is {strand!r}; write +, - or .")
    return strand == "-"


def _sequence(chromosomes: Any, chromosome: str, start: int, end: int, where: str) -> str:
    if chromosome not in chromosomes:
        raise DataError(f"{where}: the genome has no {chromosome!r}. {nearest(chromosome, chromosomes.keys())}")
    length = len(chromosomes[chromosome])
    if end > length:
        raise DataError(
            f"{where}: the interval ends at {end}, and {chromosome} has {length} bases; is it another assembly?"
        )
    return str(chromosomes[chromosome][start:end])


def _open_genome(path: Path) -> Any:
    try:
        from pyfaidx import Fasta, FastaIndexingError
    except ImportError:
        raise DataError("reading a genome needs pyfaidx; pip install 'labtune-expression[genome]'") from None
    try:
        return Fasta(str(path), as_raw=True)
    except (FastaIndexingError, OSError, ValueError) as error:
        raise DataError(f"{path}: the genome cannot be indexed ({' '.join(str(error).split())})") from None
