"""One file to the checked records of a task."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from labtune.catalog import call_target
from labtune.data.labels import parse_target
from labtune.errors import DataError
from labtune.specs import Record, Skipped, Task

log = logging.getLogger(__name__)


def load_records(
    task: Task,
    path: Path | str,
    *,
    labelled: bool = True,
    options: Mapping[str, Any] | None = None,
    skipped: list[Skipped] | None = None,
) -> list[Record]:
    """Read a file with the task's reader and check what it gives.

    Parameters
    ----------
    task
        Names the reader, its default options and the kind of labels.
    path
        The file.
    labelled
        Whether every record must have a target, which is brought to the type of the task's labels.
    options
        Reader options that replace the task's.
    skipped
        Is given what the reader left out; the log has the count either way.

    Raises
    ------
    DataError
        If there is no record, two records share an id, or a target is missing or of the wrong type.
    SettingsError
        If the reader has no such option.
    """
    chosen = {**task.options.get("reader", {}), **(options or {})}
    records: list[Record] = []
    left_out: list[Skipped] = []
    for item in call_target(task.reader, Path(path), what="reader option", labelled=labelled, **chosen):
        if isinstance(item, Skipped):
            left_out.append(item)
        else:
            records.append(item)
    for reason, count in Counter(item.reason for item in left_out).items():
        log.warning("%s: left out %d records %s", path, count, reason)
    if skipped is not None:
        skipped += left_out
    if not records:
        raise DataError(f"{path}: no record found; give a file with at least one")
    check_unique(records)
    return [parse_target(record, task.labels) for record in records] if labelled else records


def check_unique(records: Sequence[Record]) -> None:
    """Raise DataError if two records share an id, because predictions are matched by it."""
    first: dict[str, Record] = {}
    for record in records:
        other = first.setdefault(record.id, record)
        if other is not record:
            raise DataError(f"{record.source}: the id {record.id!r} is taken by {other.source}; make the ids unique")


def sha256_of(path: Path | str) -> str:
    """Hash of a file's bytes, or of the names and bytes of a folder's files; 64 hexadecimal digits."""
    if Path(path).is_dir():
        inner = sorted(entry for entry in Path(path).iterdir() if entry.is_file())
        return hashlib.sha256("".join(f"{entry.name} {sha256_of(entry)}\n" for entry in inner).encode()).hexdigest()
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
