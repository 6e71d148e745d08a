"""Contacts of residues: from coordinates or files to spans, one for each pair that is near.

A pair of residues i < j is a span from i to j under the name of its distance bin; ``contact`` is the first bin, beta
carbons closer than 8 Å. Pairs in no bin are far. Pairs less than six residues apart are never judged: the chain alone
brings them together.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from labtune.data.reading import read_table
from labtune.errors import DataError, SettingsError
from labtune.specs import Record, Span
from labtune_protein.alphabet import clean
from labtune_protein.fasta import is_fasta, read_fasta
from labtune_protein.structure.chains import Chain, distances
from labtune_protein.structure.files import is_structure, structure_files

CONTACT = "contact"
CUTOFF = 8.0  # Å between beta carbons
SEPARATION = 6  # residues; nearer pairs are not judged


def read_contacts(path: Path, *, labelled: bool, bins: Sequence[float] = (CUTOFF,)) -> Iterator[Record]:
    """Yield chains with the pairs of residues that are near.

    Parameters
    ----------
    path
        PDB or mmCIF, or a ``.list`` of such files; or JSON Lines or Parquet with the columns ``id``, ``sequence``,
        ``contacts`` (pairs of positions from 0) and, where some residues have no coordinates, ``resolved`` (``0`` and
        ``1``, one a residue). FASTA holds no contacts and serves for prediction.
    labelled
        Whether contacts are read.
    bins
        Upper ends of the distance bins in ångström, ascending; the first is what counts as contact.

    Raises
    ------
    DataError
        If a file cannot be read, or a pair lies outside its sequence.
    """
    if not bins or sorted(set(bins)) != list(bins):
        raise SettingsError(f"reader option bins is {list(bins)}; give distances in ascending order, such as 8, 12, 16")
    if is_structure(path):
        yield from _structures(path, bins if labelled else ())
    elif is_fasta(path):
        if labelled:
            raise DataError(f"{path}: FASTA holds no contacts; give structures, or JSON Lines with pairs")
        for entry in read_fasta(path):
            yield Record(id=entry.id, input=clean(entry.text).sequence, source=entry.source)
    else:
        for record in read_table(path, labelled=labelled, input="sequence", target="contacts"):
            yield replace(record, target=_pairs(record)) if labelled else record


def contact_record(chain: Chain, name: str, bins: Sequence[float], source: str) -> Record:
    """Make the record of a chain; ``name`` is its id, and without bins it has no target."""
    resolved = chain.resolved_text()
    target = find_contacts(chain, bins) if bins else None
    return Record(name, chain.sequence, target, columns={"resolved": resolved}, source=source)


def find_contacts(chain: Chain, bins: Sequence[float]) -> list[Span]:
    """Sort the pairs of a chain that are at least six residues apart into distance bins."""
    apart = distances(chain.beta())
    rows, columns = np.triu_indices(len(chain.sequence), SEPARATION)
    between = apart[rows, columns]
    known = np.isfinite(between)
    number = np.searchsorted(np.asarray(bins), between, side="right")
    near = known & (number < len(bins))
    names = bin_names(bins)
    return [Span(int(i), int(j), names[k]) for i, j, k in zip(rows[near], columns[near], number[near], strict=True)]


def bin_names(bins: Sequence[float]) -> list[str]:
    """Name the bins: ``contact``, then ``within_12.0`` and so on, so that their names sort by distance."""
    return [CONTACT, *(f"within_{edge:04.1f}" for edge in bins[1:])]


def _structures(path: Path, bins: Sequence[float]) -> Iterator[Record]:
    from labtune_protein.structure.reading import read_chains

    for file in structure_files(path):
        stem = file.name.split(".")[0]
        for chain in read_chains(file):
            record = contact_record(chain, f"{stem}_{chain.id}", bins, f"{file}:{chain.id}")
            yield replace(record, group=stem)


def _pairs(record: Record) -> list[Span]:
    written: Any = json.loads(record.target) if isinstance(record.target, str) else record.target
    spans = []
    for item in written:
        first, second = int(item[0]), int(item[1])
        if not 0 <= first < second < len(record.input):
            raise DataError(
                f"{record.source}: record {record.id!r} has the pair {first}, {second}, but its {len(record.input)} "
                f"residues are numbered from 0; write the smaller one first"
            )
        spans.append(Span(first, second, str(item[2]) if len(item) > 2 else CONTACT))
    return spans
