"""Searches all sequences against each other with MMseqs2 (Steinegger and Söding 2017, doi:10.1038/nbt.3988)."""

from __future__ import annotations

import csv
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from labtune.errors import DataError

# From this identity on, two sequences share words of five letters, which need no list of similar words: a quarter of
# the time. What is aligned has a stretch without gaps that scores; the hits that fail ten times in a row end a query.
CLOSE = 0.5
QUICK = ("-k", "5", "--exact-kmer-matching", "1", "--min-ungapped-score", "40", "--max-rejected", "10")
SENSITIVE = ("-s", "7.5")


def find_pairs(program: str, sequences: Sequence[str], threshold: float) -> set[tuple[int, int]]:
    """Find pairs of rows by identity.

    Parameters
    ----------
    program
        Path of ``mmseqs``.
    sequences
        Of letters.
    threshold
        Identity over the shorter sequence, between 0 and 1, so that a fragment counts as well.

    Returns
    -------
    set of tuple
        Rows of each pair, the smaller first.

    Raises
    ------
    DataError
        If MMseqs2 fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        fasta, found = Path(folder) / "all.fasta", Path(folder) / "found.tsv"
        fasta.write_text("".join(f">{row}\n{sequence}\n" for row, sequence in enumerate(sequences)))
        words = QUICK if threshold >= CLOSE else SENSITIVE
        options = ["--min-seq-id", f"{threshold}", "--seq-id-mode", "1", *words, "--format-output", "query,target"]
        command = [program, "easy-search", str(fasta), str(fasta), str(found), f"{folder}/work", *options]
        outcome = subprocess.run(command, capture_output=True, text=True, check=False)
        if outcome.returncode:
            raise DataError(f"mmseqs failed: {outcome.stderr.strip().splitlines()[-1:] or outcome.returncode}")
        with found.open() as file:
            rows = [sorted(map(int, row)) for row in csv.reader(file, delimiter="\t")]
    return {(one, other) for one, other in rows if one != other}
