"""Natural sequences and what MMseqs2 aligns to what: shared by the recipes that teach from families."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from labtune_protein.fasta import read_fasta

BIO = Path(os.environ.get("LABTUNE_DATA", "../shared/data")) / "bio"
LENGTHS = range(40, 1025)
COLUMNS = ("query", "target", "fident", "qstart", "tstart", "cigar")
EVALUE = "1e-3"
HITS = 300


@dataclass(frozen=True, slots=True)
class Hit:
    """A sequence aligned to a query: columns of the query and places in the sequence, both ``(A,)``."""

    sequence: str
    columns: np.ndarray
    places: np.ndarray


def write_natural(path: Path) -> None:
    """All sequences of the pre-training, numbered."""
    files = [*sorted((BIO / "protein_text").glob("*.fasta.gz")), *sorted((BIO / "protein_sequences").glob("*.fasta"))]
    seen: set[str] = set()
    with path.open("w") as file:
        for source in files:
            for entry in read_fasta(source):
                sequence = entry.text.upper().rstrip("*")
                if len(sequence) in LENGTHS and sequence.isalpha() and sequence not in seen:
                    seen.add(sequence)
                    file.write(f">{len(seen)}\n{sequence}\n")


def search(queries: Path, targets: Path, path: Path, *, hits: int = HITS, coverage: float = 0.0) -> None:
    """Align targets to queries; ``coverage`` is the share of the query that an alignment has at least."""
    options = ["-s", "5.7", "-e", EVALUE, "--max-seqs", str(hits), "-c", str(coverage), "--cov-mode", "2"]
    form = ["-a", "--format-output", ",".join(COLUMNS), "-v", "1"]
    with tempfile.TemporaryDirectory() as work:
        command = ["mmseqs", "easy-search", str(queries), str(targets), str(path), work]
        subprocess.run([*command, *options, *form], check=True)


def alignments(path: Path) -> Iterator[dict[str, str]]:
    """Rows of a search, by the names of :data:`COLUMNS`."""
    with path.open() as file:
        yield from csv.DictReader(file, COLUMNS, delimiter="\t")


def aligned(row: Mapping[str, str]) -> tuple[np.ndarray, np.ndarray]:
    """Columns of the query and places of the target in an alignment, both from 0: ``(A,)`` each."""
    column, place = int(row["qstart"]) - 1, int(row["tstart"]) - 1
    columns, places = [], []
    for size, kind in re.findall(r"(\d+)([MID])", row["cigar"]):
        length = int(size)
        if kind == "M":
            columns.append(np.arange(column, column + length))
            places.append(np.arange(place, place + length))
        column += length * (kind != "D")
        place += length * (kind != "I")
    return np.concatenate(columns), np.concatenate(places)


def once(path: Path, make: Callable[[Path], None]) -> None:
    """Make what is not there yet, under another name until it is whole."""
    if path.exists():
        return
    started = time.perf_counter()
    unfinished = path.with_name(f"{path.stem}-partial{path.suffix}")
    make(unfinished)
    unfinished.rename(path)
    print(f"{path} in {time.perf_counter() - started:.0f} s", flush=True)
