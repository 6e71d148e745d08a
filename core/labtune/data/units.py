"""Which records belong together, so that no split may part them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from labtune.specs import Record


@dataclass(frozen=True, slots=True)
class Unit:
    """Records that share an input, or a group.

    Parameters
    ----------
    rows
        Row numbers, ascending.
    key
        Hash of the inputs: the same in any order of the file and under any ids.
    """

    rows: tuple[int, ...]
    key: str


def find_units(records: Sequence[Record], *, grouped: bool = True, alike: Iterable[tuple[int, int]] = ()) -> list[Unit]:
    """Collect records into the smallest units in which these stay together.

    Parameters
    ----------
    records
        Those with equal inputs are never parted.
    grouped
        Neither are those of one group.
    alike
        Nor these pairs of rows.
    """
    prints = [fingerprint(record.input) for record in records]
    parents = list(range(len(records)))

    def root(row: int) -> int:
        while parents[row] != row:
            parents[row] = row = parents[parents[row]]  # halve the path
        return row

    first: dict[Hashable, int] = {}
    for row, record in enumerate(records):
        marks = [("input", prints[row])]
        if grouped and record.group is not None:
            marks.append(("group", record.group))
        for mark in marks:
            left, right = sorted((root(first.setdefault(mark, row)), root(row)))
            parents[right] = left
    for one, other in alike:
        left, right = sorted((root(one), root(other)))
        parents[right] = left
    members: dict[int, list[int]] = {}
    for row in range(len(records)):
        members.setdefault(root(row), []).append(row)
    return [Unit(tuple(rows), min(prints[row] for row in rows)) for rows in members.values()]


def count_duplicates(records: Sequence[Record]) -> int:
    """How many records repeat the input of another one, the first of each not counted."""
    return len(records) - len({fingerprint(record.input) for record in records})


def fingerprint(value: Any) -> str:
    """Hash an input by content: text, numbers, arrays, data classes and collections of these."""
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _plain(value: Any) -> Any:
    if hasattr(value, "tobytes"):
        return [str(value.dtype), list(value.shape), hashlib.sha256(value.tobytes()).hexdigest()]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    raise TypeError(f"an input holds a {type(value).__name__}, which has no stable hash; use arrays, lists or text")
