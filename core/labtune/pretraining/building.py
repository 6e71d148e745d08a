"""Writing corpora: files are read once and tokenised as they are read."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from labtune.data.dataset import sha256_of
from labtune.errors import DataError, RunError
from labtune.folder import write_json
from labtune.pretraining.corpus import FACTS, LABEL
from labtune.protocols import IGNORED, Batch, Tokenizer
from labtune.ragged import offsets_of
from labtune.specs import Record

PARTS = ("train", "valid")
CHUNK = 2000  # records that are tokenised at once


def build_corpus(
    folder: Path,
    records: Mapping[Path, Iterable[Record]],
    tokenizer: Tokenizer,
    size: int,
    valid_share: float,
    labels: Sequence[str] = (),
) -> dict[str, Any]:
    """Tokenise records as they are read and write a corpus folder; returns its facts.

    Parameters
    ----------
    folder
        To make. When it is there already with the same sources, nothing is done.
    records
        Records by file; all of a file have labels, or none.
    tokenizer
        The task's own; its special tokens are taken off.
    size
        Number of tokens in the vocabulary.
    valid_share
        Share of the records held out, chosen by a hash of their tokens: equal records are never parted.
    labels
        Names of the labels that some records have, as the tokenizer numbers them.

    Raises
    ------
    DataError
        If the tokenizer gives no token ids, a part would be empty, or a part has no label where the other has.
    """
    sources = _sources(records)
    if (folder / FACTS).exists():
        return _same_sources(folder, sources)
    folder.mkdir(parents=True, exist_ok=True)
    kind = np.dtype(np.uint8 if size <= 1 << 8 else np.uint16 if size <= 1 << 16 else np.uint32)
    writers = {part: _Writer(folder, part, kind, labelled=bool(labels)) for part in PARTS}
    frame: tuple[list[int], list[int]] = ([], [])
    for chunk in chain.from_iterable(map(_chunks, records.values())):
        batch = tokenizer(chunk)
        frame = _frame(batch)
        for row, known in _contents(batch):
            content = row.numpy().astype(kind)
            writers["valid" if _chance(content) < valid_share else "train"].add(content, known.numpy().astype(LABEL))
    facts: dict[str, Any] = {
        "sources": sources,
        "dtype": kind.name,
        "prefix": frame[0],
        "suffix": frame[1],
        "valid_share": valid_share,
        **{part: writer.close() for part, writer in writers.items()},
    }
    if labels:
        facts["labels"] = list(labels)
    for part in PARTS:
        if not facts[part]["tokens"]:
            raise DataError(f"{len(sources)} files leave no {part} record; give more data or another valid_share")
        if labels and not facts[part]["labelled"]:
            raise DataError(f"{len(sources)} files leave no {part} label; give more data or another valid_share")
    write_json(folder / FACTS, facts)
    return facts


class _Writer:
    """Appends the tokens of records to a file, and their labels to another."""

    def __init__(self, folder: Path, part: str, kind: np.dtype[Any], *, labelled: bool) -> None:
        self.offsets = folder / f"{part}.offsets.npy"
        self.file = (folder / f"{part}.tokens").open("wb")
        self.labels = (folder / f"{part}.labels").open("wb") if labelled else None
        self.digest = hashlib.sha256()
        self.kind = kind
        self.lengths: list[int] = []
        self.counts: Counter[int] = Counter()
        self.labelled = 0

    def add(self, content: np.ndarray, labels: np.ndarray) -> None:
        found, times = np.unique(content, return_counts=True)
        self.counts.update(dict(zip(found.tolist(), times.tolist(), strict=True)))
        data = content.tobytes()
        self.file.write(data)
        self.digest.update(data)
        self.lengths.append(len(content))
        if self.labels is not None:
            self.labels.write(labels.tobytes())
            self.labelled += int((labels != IGNORED).sum())

    def close(self) -> dict[str, Any]:
        self.file.close()
        bounds = offsets_of(self.lengths).numpy()
        np.save(self.offsets, bounds, allow_pickle=False)
        facts = {"records": len(self.lengths), "tokens": int(bounds[-1]), "sha256": self.digest.hexdigest()}
        if self.labels is not None:
            self.labels.close()
            facts["labelled"] = self.labelled
        return {**facts, "counts": {str(token): count for token, count in sorted(self.counts.items())}}


def _sources(paths: Collection[Path]) -> dict[str, str]:
    """Hashes by the files' names, or by their paths where several have one name."""
    times = Counter(path.name for path in paths)
    return {path.name if times[path.name] == 1 else str(path): sha256_of(path) for path in paths}


def _same_sources(folder: Path, sources: Mapping[str, str]) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((folder / FACTS).read_text())
    if facts["sources"] != sources:
        raise RunError(f"{folder} was made from other files; choose another --out")
    return facts


def _chunks(records: Iterable[Record]) -> Iterator[Sequence[Record]]:
    stream = iter(records)
    while chunk := list(islice(stream, CHUNK)):
        yield chunk


def _frame(batch: Batch) -> tuple[list[int], list[int]]:
    """Ids of the special tokens at both ends of the first record."""
    if "input_ids" not in batch.inputs:
        raise DataError("pre-training needs tokens, but this task's tokenizer makes features; choose another tokenizer")
    further = set(batch.inputs) - {"input_ids", "token_type_ids"}
    if further:
        raise DataError(
            f"pre-training reads tokens alone, but this tokenizer gives {min(further)} too; set tokenizer.name"
        )
    first: list[int] = batch.inputs["input_ids"][0].tolist()
    return first[: batch.prefix], first[len(first) - batch.suffix :]


def _contents(batch: Batch) -> Iterator[tuple[Tensor, Tensor]]:
    """Tokens and labels of every record, without the special ones."""
    tokens = batch.inputs["input_ids"]
    labels = torch.full_like(tokens.values, IGNORED)
    if batch.targets is not None:
        labels[batch.unit_index] = batch.targets.values
    for begin, end in pairwise(tokens.bounds):
        content = slice(begin + batch.prefix, end - batch.suffix)
        if content.start < content.stop:
            yield tokens.values[content], labels[content]


def _chance(content: np.ndarray) -> float:
    return int.from_bytes(hashlib.sha256(content.tobytes()).digest()[:8], "little") / 2.0**64
