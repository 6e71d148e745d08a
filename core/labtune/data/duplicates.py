"""Records that repeat or nearly repeat another one."""

from __future__ import annotations

import re
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from datasketch import MinHash, MinHashLSH

from labtune.data.units import fingerprint
from labtune.specs import Record

ALIKE = 0.8  # Jaccard similarity of shingles from which two texts are near duplicates
SHINGLE = 5  # characters
LONGEST = 2000  # shingles of a record that are compared; of longer ones a fixed sample
BANDS, ROWS = 12, 5  # finds 99 in 100 pairs at similarity 0.8 and 3 in 100 at 0.3, which are then compared exactly
TRIES = 50  # candidates compared a record

_GAPS = re.compile(r"\s+")


class Pair(NamedTuple):
    """Rows of two records, the earlier one first."""

    first: int
    second: int


def equal_inputs(records: Sequence[Record]) -> list[list[int]]:
    """Rows of records with equal inputs, for each input that occurs more than once."""
    rows: defaultdict[str, list[int]] = defaultdict(list)
    for row, record in enumerate(records):
        rows[fingerprint(record.input)].append(row)
    return [some for some in rows.values() if len(some) > 1]


def text_of(content: Any) -> str | None:
    """Return a text or list of texts as one text, without regard to case and white space; None for other inputs."""
    if isinstance(content, (list, tuple)) and all(isinstance(part, str) for part in content):
        content = " ".join(content)
    return _GAPS.sub(" ", content).strip().casefold() if isinstance(content, str) else None


def near_duplicates(records: Sequence[Record], parts: Sequence[int]) -> Iterator[Pair]:
    """Find records whose text is nearly that of an earlier one, by MinHash (Broder 1997).

    Candidates that share a band of their signatures are compared exactly, so a pair that is told of is one. A record is
    paired once: with a record of another part if there is one, else with one of its own.

    Parameters
    ----------
    records
        Of which those that are not text are passed over.
    parts
        Number of the part (training, …) of each record.

    Yields
    ------
    Pair
        No two records of a pair have equal inputs.
    """
    index = MinHashLSH(num_perm=BANDS * ROWS, params=(BANDS, ROWS))
    kept: dict[int, frozenset[int]] = {}  # shingles of the records in the index
    seen: set[tuple[int, str]] = set()
    blank = MinHash(num_perm=BANDS * ROWS, hashfunc=int)
    for row, record in enumerate(records):
        text, mark = text_of(record.input), (parts[row], fingerprint(record.input))
        if not text or mark in seen:
            continue
        seen.add(mark)
        shingles = _shingles(text)
        signature = blank.copy()
        signature.update_batch(list(shingles))
        candidates = sorted(index.query(signature), key=lambda other: (parts[other] == parts[row], other))[:TRIES]
        alike = (other for other in candidates if _similarity(shingles, kept[other]) >= ALIKE)
        other = next((other for other in alike if records[other].input != record.input), None)
        if other is not None:
            yield Pair(other, row)
        if other is None or parts[other] != parts[row]:  # a near duplicate is stood for by the first of its part
            index.insert(row, signature, check_duplication=False)
            kept[row] = shingles


def _shingles(text: str) -> frozenset[int]:
    """Hashes of all runs of ``SHINGLE`` characters; of very many, those with the smallest hashes."""
    data = text.encode("utf-8", "surrogatepass")
    found = {zlib.crc32(data[start : start + SHINGLE]) for start in range(max(1, len(data) - SHINGLE + 1))}
    return frozenset(found if len(found) <= LONGEST else sorted(found)[:LONGEST])


def _similarity(one: frozenset[int], other: frozenset[int]) -> float:
    """Jaccard similarity."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)
