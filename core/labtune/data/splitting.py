"""Training, validation and test data from one file, without the same example on two sides.

Records with equal inputs are never parted, and neither are the records of one group, except by time. Chance comes from
a hash of the inputs and the seed: one file gives one split on every machine, in any order of its lines.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from labtune.data.labels import label_names
from labtune.data.units import Unit, find_units
from labtune.errors import DataError, SettingsError, nearest
from labtune.specs import Record

IDENTITY = "identity"
PARTS = ("train", "valid", "test")
_PART_OF = {"train": 0, "valid": 1, "validation": 1, "val": 1, "dev": 1, "test": 2}

Assignment = Mapping[int, int]  # row -> index in PARTS
Similarity = Callable[[Sequence[Record], float], Iterable[tuple[int, int]]]
Mode = Callable[[Sequence[Record], str, Sequence[float], int], Assignment]


def split_records(
    records: Sequence[Record],
    mode: str = "stratified",
    fractions: Sequence[float] = (0.7, 0.15, 0.15),
    seed: int = 0,
    similarity: Similarity | None = None,
) -> dict[str, list[Record]]:
    """Split records into ``train``, ``valid`` and ``test``.

    Parameters
    ----------
    records
        At least one record for each part with a fraction.
    mode
        ``random``; ``stratified``: every class, or tenth of the range of numbers, in proportion (records with several
        labels count as their rarest, the first step of Sechidis et al. 2011, doi:10.1007/978-3-642-23808-6_10);
        ``group``: random, and every record must have a group; ``time:COLUMN``: the newest for testing;
        ``column:COLUMN``: as the file says (train, valid, test); ``identity:SHARE``: random, and inputs that are this
        much alike by the task's own similarity stay together, as do those that are alike to a third one;
        ``ids:FILE``: as the ``split.json`` of another run says;
        ``fold:K:I``: fold I of K, from 0, for testing, and of the rest so much for validation as the fractions say.
    fractions
        Shares of the three parts, which sum to one. Not used by ``column``.
    seed
        Chooses among splits; not used by ``time`` and ``column``.
    similarity
        The task's own, for ``identity``: from records and a threshold to pairs of rows.

    Returns
    -------
    dict
        Records of each part, in the order given.

    Raises
    ------
    SettingsError
        If the mode is unknown or the fractions are not shares.
    DataError
        If a part would be empty, or a record lacks what the mode needs.
    """
    name, _, argument = mode.partition(":")
    modes: dict[str, Mode] = {**MODES, IDENTITY: partial(_identity, similarity)}
    if name not in modes:
        raise SettingsError(f"unknown split {mode!r}. {nearest(name, modes)}")
    if len(fractions) != len(PARTS) or min(fractions) < 0 or not math.isclose(sum(fractions), 1, abs_tol=1e-6):
        raise SettingsError(f"fractions {list(fractions)} are not three shares that sum to 1; try 0.7, 0.15, 0.15")
    part_of = modes[name](records, argument, fractions, seed)
    parts: dict[str, list[Record]] = {part: [] for part in PARTS}
    for row, record in enumerate(records):
        parts[PARTS[part_of[row]]].append(record)
    needed = (
        ["train"]
        if name in ("column", "ids")
        else [part for part, share in zip(PARTS, fractions, strict=True) if share]
    )
    for part in needed:
        if not parts[part]:
            raise DataError(
                f"{len(records)} records split by {mode!r} leave no {part} data; give more records, "
                f"other fractions, or a file of {part} data"
            )
    return parts


def fold_of(records: Sequence[Record], folds: int, seed: int = 0) -> list[int]:
    """Deal records to folds of equal size and with every class in proportion, as ``stratified`` splits.

    Parameters
    ----------
    records
        Of which those with equal inputs, or of one group, come to one fold.
    folds, seed
        How many, and which of the ways to deal them.

    Returns
    -------
    list of int
        Number of the fold of each record, from 0.

    Raises
    ------
    DataError
        If a fold would be empty.
    """
    part_of = _fill(_stratify(records), [1 / folds] * folds, seed, taught=False)
    if len(set(part_of.values())) < folds:
        raise DataError(f"{len(records)} records do not make {folds} folds; give more records, or ask for fewer folds")
    return [part_of[row] for row in range(len(records))]


def split_hash(parts: Mapping[str, Sequence[Record]]) -> str:
    """Name a split: 16 hexadecimal digits of SHA-256 over the sorted ids of each part."""
    digest = hashlib.sha256()
    for name in sorted(parts):
        digest.update(f"{name}\n".encode())
        digest.update("".join(f"{id_}\n" for id_ in sorted(record.id for record in parts[name])).encode())
    return digest.hexdigest()[:16]


def _random(records: Sequence[Record], argument: str, fractions: Sequence[float], seed: int) -> Assignment:
    return _fill([find_units(records)], fractions, seed)


def _group(records: Sequence[Record], argument: str, fractions: Sequence[float], seed: int) -> Assignment:
    for record in records:
        if record.group is None:
            raise DataError(
                f"{record.source}: record {record.id!r} has no group; name its column with --set reader.group=COLUMN"
            )
    return _random(records, argument, fractions, seed)


def _stratified(records: Sequence[Record], argument: str, fractions: Sequence[float], seed: int) -> Assignment:
    return _fill(_stratify(records), fractions, seed)


def _identity(
    similarity: Similarity | None, records: Sequence[Record], argument: str, fractions: Sequence[float], seed: int
) -> Assignment:
    if similarity is None:
        raise SettingsError("split 'identity' needs a task with a similarity of its own; try 'group' or 'stratified'")
    try:
        threshold = float(argument)
    except ValueError:
        raise SettingsError(
            f"split 'identity:{argument}' needs a share between 0 and 1, such as identity:0.3"
        ) from None
    return _fill([find_units(records, alike=similarity(records, threshold))], fractions, seed)


def _time(records: Sequence[Record], argument: str, fractions: Sequence[float], seed: int) -> Assignment:
    """Cut the sorted times; equal times stay together, and a repeated input counts at its first time."""
    times = _times(records, argument)
    units = find_units(records, grouped=False)
    moments: dict[Any, list[int]] = defaultdict(list)
    for unit in units:
        moments[min(times[row] for row in unit.rows)].extend(unit.rows)
    part_of: dict[int, int] = {}
    ends = np.cumsum(fractions) * len(records)
    for moment in sorted(moments):
        middle = len(part_of) + len(moments[moment]) / 2
        part = min(int(np.searchsorted(ends, middle)), len(PARTS) - 1)
        part_of.update(dict.fromkeys(moments[moment], part))
    return part_of


def _column(records: Sequence[Record], argument: str, fractions: Sequence[float], seed: int) -> Assignment:
    part_of = {}
    for row, record in enumerate(records):
        value = str(_cell(record, argument)).strip().lower()
        if value not in _PART_OF:
            raise DataError(
                f"{record.source}: {argument} of record {record.id!r} is {value!r}; write train, valid or test"
            )
        part_of[row] = _PART_OF[value]
    return part_of


def _ids(records: Sequence[Record], argument: str, fractions: Sequence[float], seed: int) -> Assignment:
    """Read lists of ids by part."""
    try:
        content = json.loads(Path(argument).read_text(encoding="utf-8"))
        known = {id_: number for number, part in enumerate(PARTS) for id_ in content.get(part, [])}
    except (OSError, ValueError, AttributeError, TypeError):
        raise SettingsError(f"split 'ids:{argument}': no ids can be read there; name the split.json of a run") from None
    for record in records:
        if record.id not in known:
            raise DataError(
                f"{record.source}: record {record.id!r} is not in {argument}; it is the split of other data"
            )
    return {row: known[record.id] for row, record in enumerate(records)}


def _fold(records: Sequence[Record], argument: str, fractions: Sequence[float], seed: int) -> Assignment:
    """Test one fold; see :func:`fold_of`."""
    count, _, index = argument.partition(":")
    if not (count.isdecimal() and index.isdecimal() and int(index) < int(count)):
        raise SettingsError(f"split 'fold:{argument}' is not of the form fold:K:I with I below K, such as fold:5:0")
    fold = fold_of(records, int(count), seed)
    rest = [row for row, number in enumerate(fold) if number != int(index)]
    shares = [fractions[0] / (fractions[0] + fractions[1]), fractions[1] / (fractions[0] + fractions[1])]
    inner = _fill(_stratify([records[row] for row in rest]), shares, seed)
    return {row: PARTS.index("test") for row in range(len(records))} | {rest[row]: part for row, part in inner.items()}


# Another way to split is another line here; what follows the colon in its name reaches it as argument.
MODES: dict[str, Mode] = {
    "random": _random,
    "stratified": _stratified,
    "group": _group,
    "time": _time,
    "column": _column,
    "ids": _ids,
    "fold": _fold,
}


def _fill(
    strata: Sequence[Sequence[Unit]], fractions: Sequence[float], seed: int, *, taught: bool = True
) -> Assignment:
    """Give each unit to the part that lacks most of its share; what a stratum leaves over, the next one evens out.

    If ``taught``, the first of each stratum is for training, so that no class is only tested. Large units go first (by
    powers of two, so that the seed still matters), because small ones can level them out.
    """
    shares = np.asarray(fractions)
    lack = np.zeros(len(shares))
    part_of: dict[int, int] = {}
    for units in strata:
        lack += shares * sum(len(unit.rows) for unit in units)
        ordered = sorted(units, key=lambda unit: (-len(unit.rows).bit_length(), _chance(unit, seed)))
        for position, unit in enumerate(ordered):
            part = 0 if taught and position == 0 and shares[0] else int(lack.argmax())
            lack[part] -= len(unit.rows)
            part_of.update(dict.fromkeys(unit.rows, part))
    return part_of


def _chance(unit: Unit, seed: int) -> str:
    return hashlib.sha256(f"{seed}:{unit.key}".encode()).hexdigest()


def _stratify(records: Sequence[Record]) -> list[list[Unit]]:
    """Collect the units of each stratum."""
    names = _strata(records)
    strata: dict[str, list[Unit]] = defaultdict(list)
    for unit in find_units(records):
        (name, _), *_ = Counter(sorted(names[row] for row in unit.rows)).most_common(1)
        strata[name].append(unit)
    return [strata[name] for name in sorted(strata)]


def _strata(records: Sequence[Record]) -> list[str]:
    """Name the stratum of each record."""
    targets = [record.target for record in records]
    if targets and all(isinstance(target, (int, float)) for target in targets):
        bins = min(10, max(1, len(targets) // 10))
        edges = np.quantile(targets, np.arange(1, bins) / bins)
        return [f"{bin_:02d}" for bin_ in np.searchsorted(edges, targets)]
    names = [set(label_names(record)) for record in records]
    counts = Counter(name for some in names for name in some)
    return [min(some, key=lambda name: (counts[name], name), default="") for some in names]


def _cell(record: Record, column: str) -> Any:
    if column not in record.columns:
        raise DataError(f"{record.source}: no column {column!r} to split by. {nearest(column, record.columns)}")
    return record.columns[column]


def _times(records: Sequence[Record], column: str) -> list[Any]:
    cells = [_cell(record, column) for record in records]
    try:
        return [float(cell) for cell in cells]
    except (TypeError, ValueError):
        return [_moment(cell, record, column) for cell, record in zip(cells, records, strict=True)]


def _moment(cell: Any, record: Record, column: str) -> datetime:
    """Read an ISO date or date and time; one without a zone is UTC."""
    try:
        moment = cell if isinstance(cell, datetime) else datetime.fromisoformat(str(cell).strip())
    except ValueError:
        raise DataError(
            f"{record.source}: {column} of record {record.id!r} is {str(cell)!r}; write times as 2024-01-31 or numbers"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
