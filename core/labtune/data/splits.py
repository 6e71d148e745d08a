"""The data of a run: files or the bundled sample, read, split where a part is missing, and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from labtune.catalog import resolve
from labtune.data.dataset import load_records, sha256_of
from labtune.data.labels import check_labels, resolve_labels
from labtune.data.splitting import PARTS, split_hash, split_records
from labtune.errors import DataError, SettingsError, nearest
from labtune.settings import Settings
from labtune.specs import Labels, Record, Skipped, Task


@dataclass(frozen=True)
class Splits:
    """Records to train on, to choose by and to judge with.

    Parameters
    ----------
    records
        By part; ``train`` always, ``valid`` and ``test`` where there are any.
    labels
        With their names complete.
    files
        File of each part, or of what it was split from.
    sha256
        Hash of each file, by part.
    fingerprint
        Hash of which record is in which part.
    warnings
        One sentence each.
    dropped
        How many records the reader left out of each file, by the part that the file was given for.
    """

    records: Mapping[str, list[Record]]
    labels: Labels
    files: Mapping[str, Path]
    sha256: Mapping[str, str]
    fingerprint: str
    warnings: tuple[str, ...]
    dropped: Mapping[str, int] = field(default_factory=dict)


def load_splits(task: Task, settings: Settings) -> Splits:
    """Read and split the data that the settings name, or the task's sample when they name none.

    Raises
    ------
    DataError
        If a file cannot be used, a label occurs that training data never had, or there is no column to slice by.
    SettingsError
        If there is validation or test data but nothing to train on.
    """
    files = _files(task, settings)
    skipped: dict[str, list[Skipped]] = {part: [] for part in files}
    records = {
        part: load_records(task, path, labelled=True, options=settings.reader, skipped=skipped[part])
        for part, path in files.items()
    }
    _check_columns(settings.slices, records)
    records = _complete(records, settings, task)
    files = {part: files.get(part, files["train"]) for part in records}
    labels = resolve_labels(task.labels, records["train"])
    warnings = [warning for part, chosen in records.items() for warning in check_labels(labels, chosen, part)]
    hashes = {path: sha256_of(path) for path in set(files.values())}
    return Splits(
        records=records,
        labels=labels,
        files=files,
        sha256={part: hashes[path] for part, path in files.items()},
        fingerprint=split_hash(records),
        warnings=tuple(dict.fromkeys(warnings)),
        dropped={part: len(left_out) for part, left_out in skipped.items()},
    )


def _check_columns(columns: Sequence[str], records: Mapping[str, list[Record]]) -> None:
    """Find out before training that a column to slice by is not there."""
    known = {column for some in records.values() for record in some for column in record.columns}
    for column in columns:
        if column not in known:
            hint = nearest(column, known) if known else "The records have no columns to choose from."
            raise DataError(f"no column {column!r} to slice by. {hint}")


def _files(task: Task, settings: Settings) -> dict[str, Path]:
    if settings.data:
        if "train" not in settings.data:
            raise SettingsError("there is no training data; add --train FILE")
        return {part: Path(settings.data[part]) for part in PARTS if part in settings.data}
    if not task.sample:
        raise DataError(f"task {task.name!r} has no bundled sample; add --train FILE")
    return {part: Path(path) for part, path in resolve(task.sample)().items()}


def _complete(records: Mapping[str, list[Record]], settings: Settings, task: Task) -> dict[str, list[Record]]:
    """Split off the training data what no file was given for; validation data alone means that nothing is tested."""
    if "valid" in records:
        return dict(records)
    shares = list(settings.fractions)
    if "test" in records:
        shares = [shares[0] / (shares[0] + shares[1]), shares[1] / (shares[0] + shares[1]), 0.0]
    similarity = resolve(task.similarity) if task.similarity else None
    parts = split_records(records["train"], settings.split, shares, settings.seed, similarity)
    return {
        part: chosen for part, chosen in {**parts, **{"test": records.get("test", parts["test"])}}.items() if chosen
    }
