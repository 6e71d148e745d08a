"""What may be wrong with data, before anything is learned from them: each check is one function below."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from labtune.data.duplicates import equal_inputs, near_duplicates, text_of
from labtune.data.labels import label_names
from labtune.data.units import fingerprint
from labtune.specs import Labels, Record

Severity = Literal["serious", "warning", "note"]
Similarity = Callable[[Sequence[Record]], Iterable[tuple[int, int]]]

SEVERITIES: tuple[Severity, ...] = ("serious", "warning", "note")
EXAMPLES = 10  # ids told of a finding
FEW = 10  # training examples of a class below which little can be learned
IMBALANCE = 20  # times the most frequent class outnumbers the rarest
UNKNOWN = 0.1  # share of a record's tokens that the vocabulary does not know
FAR = 6  # robust standard deviations of the logarithm of the length
NAMES = {"train": "training", "valid": "validation", "test": "test"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that may be wrong.

    Parameters
    ----------
    kind
        Name of what was found, such as ``near_duplicates``.
    severity
        ``serious``: scores will not hold; ``warning``: look at it; ``note``: good to know.
    count
        Of records, unless the message says otherwise.
    message, advice
        What was found, and what to do.
    ids
        Ids of the first records or pairs.
    """

    kind: str
    severity: Severity
    count: int
    message: str
    advice: str
    ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Audited:
    """The records of all parts, one after the other.

    Parameters
    ----------
    records
        All of them.
    part_of
        Name of the part of each.
    labels
        Of the task.
    unknown
        Share of each record's tokens that the vocabulary does not know, or None.
    similarity
        The task's own measure of near duplicates: from records to pairs of rows. None: similar texts.
    """

    records: Sequence[Record]
    part_of: Sequence[str]
    labels: Labels
    unknown: np.ndarray | None = None
    similarity: Similarity | None = None
    parts: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(dict.fromkeys(self.part_of)))

    def rows(self, part: str) -> list[int]:
        """Rows of one part."""
        return [row for row, name in enumerate(self.part_of) if name == part]

    def told(self, rows: Iterable[int]) -> tuple[str, ...]:
        """Ids of the first rows."""
        return tuple(self.records[row].id for row, _ in zip(rows, range(EXAMPLES), strict=False))


def audit(
    parts: Mapping[str, Sequence[Record]],
    labels: Labels,
    *,
    unknown: np.ndarray | None = None,
    similarity: Similarity | None = None,
    near: bool = True,
) -> list[Finding]:
    """Check records.

    Parameters
    ----------
    parts
        Records by part; ``train`` is what others are compared with.
    labels
        With their names, where they are known.
    unknown
        Share of unknown tokens of each record, all parts one after the other.
    similarity
        The task's own measure of near duplicates.
    near
        Look for near duplicates, which takes most of the time.

    Returns
    -------
    list of Finding
        The most severe first.
    """
    records = [record for some in parts.values() for record in some]
    part_of = [part for part, some in parts.items() for _ in some]
    data = Audited(records, part_of, labels, unknown, similarity)
    checks = [*CHECKS, near_duplicate_inputs] if near else CHECKS
    found = [finding for check in checks for finding in check(data)]
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))


def empty_inputs(data: Audited) -> Iterator[Finding]:
    """Inputs without content, and an input that is the same everywhere."""
    blank = [row for row, record in enumerate(data.records) if _is_blank(record.input)]
    if blank:
        yield Finding(
            "empty_inputs",
            "serious",
            len(blank),
            f"records with an empty input: {len(blank):,}",
            "Fill the inputs, or remove the records.",
            data.told(blank),
        )
    if len(data.records) > 1 and len({fingerprint(record.input) for record in data.records}) == 1:
        yield Finding(
            "constant_inputs",
            "serious",
            len(data.records),
            "all records have the same input",
            "Check the name of the input column.",
            data.told(range(len(data.records))),
        )


def equal_targets(data: Audited) -> Iterator[Finding]:
    """Training data in which there is nothing to tell apart."""
    rows = data.rows("train")
    known = {fingerprint(data.records[row].target) for row in rows if data.records[row].target is not None}
    if len(rows) > 1 and len(known) == 1 and data.labels.kind in ("classes", "values"):
        yield Finding(
            "constant_targets",
            "serious",
            len(rows),
            "all training records have the same target",
            "Check the name of the target column; there is nothing to learn.",
            data.told(rows),
        )


def duplicate_inputs(data: Audited) -> Iterator[Finding]:
    """Equal inputs, on two sides of the split or on one, and those whose targets differ."""
    groups = equal_inputs(data.records)
    across = [rows for rows in groups if len({data.part_of[row] for row in rows}) > 1]
    if across:
        leaked = [row for rows in across for row in rows if data.part_of[row] != data.part_of[rows[0]]]
        yield Finding(
            "duplicates_across",
            "serious",
            len(leaked),
            f"records that repeat the input of a record in another part: {_places(data, leaked)}",
            "Remove them from one part; scores on them measure memory.",
            data.told(leaked),
        )
    firsts = {(number, data.part_of[row]): row for number, rows in enumerate(groups) for row in reversed(rows)}
    repeated = sorted({row for rows in groups for row in rows} - set(firsts.values()))
    if repeated:
        yield Finding(
            "duplicates_within",
            "note",
            len(repeated),
            f"records that repeat the input of a record in the same part: {len(repeated):,}",
            "Remove repetitions unless they stand for real frequencies.",
            data.told(repeated),
        )
    contrary = [rows for rows in groups if len({fingerprint(data.records[row].target) for row in rows}) > 1]
    if contrary:
        yield Finding(
            "contradicting_labels",
            "warning",
            sum(map(len, contrary)),
            f"inputs that occur with different targets: {len(contrary):,}",
            "Correct the targets, or keep one of them.",
            data.told(row for rows in contrary for row in rows),
        )


def near_duplicate_inputs(data: Audited) -> Iterator[Finding]:
    """Nearly equal inputs, on two sides of the split or on one."""
    if data.similarity is None:
        numbers = {part: number for number, part in enumerate(data.parts)}
        pairs = [tuple(pair) for pair in near_duplicates(data.records, [numbers[part] for part in data.part_of])]
    else:
        sides = [(min(pair), max(pair)) for pair in data.similarity(data.records)]
        prints = [fingerprint(record.input) for record in data.records]
        pairs = [(first, second) for first, second in sides if prints[first] != prints[second]]
    across = {second for first, second in pairs if data.part_of[first] != data.part_of[second]}
    within = {second for first, second in pairs if data.part_of[first] == data.part_of[second]}
    if across:
        rows = sorted(across)
        yield Finding(
            "near_duplicates_across",
            "warning",
            len(rows),
            f"records nearly the same as a record in an earlier part: {_places(data, rows)}",
            "Put similar records on one side, for example with a group column and split = group.",
            data.told(rows),
        )
    if within:
        yield Finding(
            "near_duplicates_within",
            "note",
            len(within),
            f"records nearly the same as an earlier record of the same part: {len(within):,}",
            "There is less to learn from, and intervals are wider, than the number of records suggests.",
            data.told(sorted(within)),
        )


def shared_groups(data: Audited) -> Iterator[Finding]:
    """Groups with records in several parts."""
    parts: defaultdict[str, set[str]] = defaultdict(set)
    for record, part in zip(data.records, data.part_of, strict=True):
        if record.group is not None:
            parts[record.group].add(part)
    shared = [group for group, some in parts.items() if len(some) > 1]
    if shared:
        yield Finding(
            "groups_across",
            "serious",
            len(shared),
            f"groups with records in several parts: {len(shared):,}",
            "Split by group (split = group), so that no group is on both sides.",
            tuple(shared[:EXAMPLES]),
        )


def class_balance(data: Audited) -> Iterator[Finding]:
    """Classes that are rare, or absent from a part."""
    if data.labels.kind == "values":
        return
    counts = {part: Counter[str]() for part in data.parts}
    for record, part in zip(data.records, data.part_of, strict=True):
        counts[part].update(label_names(record))
    names = data.labels.names or tuple(sorted({name for some in counts.values() for name in some}))
    for part, count in counts.items():
        absent = [name for name in names if not count[name]]
        if absent and count:
            yield Finding(
                "absent_classes",
                "warning",
                len(absent),
                f"classes that do not occur in the {NAMES.get(part, part)} data: {_listed(absent)}",
                "Add records with them; nothing is learned about them, or nothing is known about their scores.",
            )
    yield from _imbalance(counts.get("train", Counter()))


def _imbalance(count: Counter[str]) -> Iterator[Finding]:
    """Rare classes of the training data."""
    rare = sorted(name for name, number in count.items() if number < FEW)
    if rare:
        yield Finding(
            "rare_classes",
            "warning",
            len(rare),
            f"classes with fewer than {FEW} training examples: {_listed(rare)}",
            "Add examples, or join rare classes.",
        )
    if count and max(count.values()) >= IMBALANCE * min(count.values()):
        (most, many), (least, few) = count.most_common(1)[0], min(count.items(), key=lambda item: item[1])
        yield Finding(
            "imbalance",
            "note",
            len(count),
            f"the class {most!r} has {many:,} training examples and {least!r} has {few:,}",
            "Judge by macro F1 or balanced accuracy rather than accuracy; weigh classes in the loss.",
        )


def unusual_lengths(data: Audited) -> Iterator[Finding]:
    """Inputs far longer or shorter than others, by the median and its deviation of the logarithm."""
    lengths = np.array([_length(record.input) for record in data.records], dtype=float)
    sized = lengths > 0
    if sized.sum() < 20:
        return
    logs = np.log(lengths, where=sized, out=np.zeros_like(lengths))
    middle = float(np.median(logs[sized]))
    spread = 1.4826 * float(np.median(np.abs(logs[sized] - middle)))
    limit = max(FAR * spread, math.log(5))
    rows = np.flatnonzero(sized & (np.abs(logs - middle) > limit)).tolist()
    if rows:
        low, high = math.exp(middle - limit), math.exp(middle + limit)
        yield Finding(
            "unusual_lengths",
            "note",
            len(rows),
            f"inputs far shorter or longer than others (below {low:,.0f} or above {high:,.0f}, the median being "
            f"{math.exp(middle):,.0f}): {len(rows):,}",
            "Look at them: they may be cut, joined or misread.",
            data.told(sorted(rows, key=lambda row: -abs(logs[row] - middle))),
        )


def unknown_symbols(data: Audited) -> Iterator[Finding]:
    """Records that the vocabulary does not know well."""
    rows = [] if data.unknown is None else np.flatnonzero(data.unknown > UNKNOWN).tolist()
    if rows:
        yield Finding(
            "unknown_symbols",
            "warning",
            len(rows),
            f"records of whose tokens the encoder does not know more than {UNKNOWN:.0%}: {len(rows):,}",
            "Check the encoding of the file and the language or alphabet of the encoder.",
            data.told(rows),
        )


CHECKS: tuple[Callable[[Audited], Iterator[Finding]], ...] = (
    empty_inputs,
    equal_targets,
    duplicate_inputs,
    shared_groups,
    class_balance,
    unusual_lengths,
    unknown_symbols,
)


def _is_blank(content: Any) -> bool:
    text = text_of(content)
    return (text is not None and not text) or (hasattr(content, "__len__") and len(content) == 0)


def _length(content: Any) -> int:
    return len(content) if hasattr(content, "__len__") else 0


def _places(data: Audited, rows: Iterable[int]) -> str:
    counts = Counter(data.part_of[row] for row in rows)
    return ", ".join(f"{count:,} in {NAMES.get(part, part)}" for part, count in counts.items())


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:EXAMPLES]) + (f" and {len(names) - EXAMPLES} more" if len(names) > EXAMPLES else "")
