"""Labels of residues: where they are written, what is masked, and that there are as many as residues."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from labtune.errors import DataError
from labtune.specs import Record
from labtune_protein.alphabet import Cleaned
from labtune_protein.fasta import SUFFIXES, read_fasta

FOLLOWERS = "NAME.labels….fasta"
_STEM = ".sequences"


def split_labels(record: Record, written: str | Sequence[Any], mask: str | None) -> list[Any]:
    """Take labels apart, one a residue, None where the mask is 0.

    Parameters
    ----------
    record
        Whose they are; its input is the sequence as written.
    written
        A letter a residue, a JSON list, numbers with ``;`` between, or a list.
    mask
        ``0`` and ``1``, one a residue; None hides nothing.

    Raises
    ------
    DataError
        If there are more or fewer labels than residues.
    """
    labels = _apart(record, written)
    _require_length(record, "labels", len(labels))
    if not mask:
        return labels
    _require_length(record, "mask characters", len(mask))
    return [label if shown == "1" else None for label, shown in zip(labels, mask, strict=True)]


def align(record: Record, cleaned: Cleaned) -> Any:
    """Leave out the labels of letters that were left out of the sequence."""
    if not cleaned.removed or not isinstance(record.target, list) or len(record.target) != len(record.input):
        return record.target
    return [record.target[position] for position in cleaned.kept]


def read_companions(path: Path, labels: str, mask: str) -> dict[str, dict[str, str]]:
    """Read the files of labels and masks beside ``NAME.sequences.fasta``, by record id; none for another name.

    Raises
    ------
    DataError
        If the files of labels are none or several and it was not said which.
    """
    stem, found, ending = path.name.partition(_STEM)
    if not found or not ending.removesuffix(".gz").endswith(SUFFIXES):
        return {}
    entries = {
        entry.id: {**entry.fields, "TARGET": entry.text} for entry in read_fasta(_labels_file(path, stem, labels))
    }
    masks = path.with_name(f"{stem}.{mask}{ending}")
    if masks.exists():
        for entry in read_fasta(masks):
            entries.setdefault(entry.id, {})["MASK"] = entry.text
    return entries


def _labels_file(path: Path, stem: str, labels: str) -> Path:
    pattern = f"{stem}.{labels or 'labels*'}.fa*"
    candidates = sorted(path.parent.glob(pattern))
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        raise DataError(f"{path}: no file {pattern} with its labels is beside it")
    names = ", ".join(candidate.name for candidate in candidates)
    raise DataError(f"{path}: its labels may be in {names}; choose one with the reader option labels")


def _apart(record: Record, written: str | Sequence[Any]) -> list[Any]:
    if not isinstance(written, str):
        return list(written)
    if written.startswith("["):
        try:
            labels = json.loads(written)
        except json.JSONDecodeError as error:
            raise DataError(f"{record.source}: the labels of {record.id!r} are not a JSON list: {error.msg}") from None
        return list(labels)
    return written.split(";") if ";" in written else list(written)


def _require_length(record: Record, what: str, count: int) -> None:
    if count != len(record.input):
        raise DataError(
            f"{record.source}: record {record.id!r} has {len(record.input)} residues but {count} {what}; "
            f"give one a residue"
        )
