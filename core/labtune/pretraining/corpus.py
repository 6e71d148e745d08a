"""Token corpora on disk: flat files that are mapped into memory, so that their size never matters.

A corpus folder holds, for each of the parts ``train`` and ``valid``, all content tokens one record after the other
(``train.tokens``, raw integers) and the records' boundaries (``train.offsets.npy``); and ``corpus.json``, which says
from which files, and with which special tokens around every crop. It is written last. Where some records have labels,
``train.labels`` holds one for every token.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from labtune.data.dataset import sha256_of
from labtune.errors import DataError, RunError
from labtune.folder import write_json
from labtune.protocols import IGNORED, Batch, Tokenizer
from labtune.ragged import Ragged, offsets_of
from labtune.specs import Record

FACTS = "corpus.json"
PARTS = ("train", "valid")
CHUNK = 2000  # records that are tokenised at once
LABEL = np.dtype(np.int16)


@dataclass(frozen=True, eq=False)
class Drawn:
    """Crops of a corpus.

    Parameters
    ----------
    tokens
        Token ids ``(N,)`` int64, special ones included.
    segments, follows
        For pairs of segments: which segment a token is in ``(N,)``, and 1 for those that go on ``(B,)``, all int64.
    labels
        Number of every token's label ``(N,)`` int64, ``IGNORED`` where it has none; for a corpus that has labels.
    """

    tokens: Ragged
    segments: Ragged | None = None
    follows: Tensor | None = None
    labels: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Corpus:
    """Records as tokens, without their special ones.

    Parameters
    ----------
    tokens
        ``(N,)`` unsigned integers, mapped from disk.
    offsets
        ``(R + 1,)`` int64.
    prefix, suffix
        Ids of the special tokens that open and close every crop.
    labels
        ``(N,)`` integers, mapped from disk, ``IGNORED`` where there is none; None for a corpus without labels.
    """

    tokens: np.ndarray
    offsets: np.ndarray
    prefix: tuple[int, ...]
    suffix: tuple[int, ...]
    labels: np.ndarray | None = None

    def draw(self, rng: np.random.Generator, *, crop: int, budget: int) -> Drawn:
        """Draw crops that fill the budget, every token of the corpus with about the same chance (with replacement).

        The last crop is cut to what is left, so that steps are of one size, for which kernels are made only once.

        Parameters
        ----------
        rng
            Where chance comes from.
        crop
            Longest crop, special tokens included.
        budget
            Tokens to draw.
        """
        frame = len(self.prefix) + len(self.suffix)
        starts, sizes = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        left = budget
        while left > frame:
            begins, ends = self._places(rng, crop - frame, -(-left // crop))
            whole = ends - begins + frame
            cut = np.minimum(whole, left - (whole.cumsum() - whole))
            kept = cut > frame
            starts.append(begins[kept])
            sizes.append(cut[kept])
            left -= int(sizes[-1].sum())
        return self._framed(np.concatenate(starts), np.concatenate(sizes))

    def draw_pairs(self, rng: np.random.Generator, *, crop: int, budget: int) -> Drawn:
        """Draw pairs of segments, of which half go on from the first to the second, as BERT's were drawn.

        The others have their second segment from a random place. A pair is framed as one crop, with the closing special
        tokens between its segments as well.

        Parameters
        ----------
        rng, crop, budget
            As for :meth:`draw`.
        """
        frame = len(self.prefix) + 2 * len(self.suffix)
        rows: list[Tensor] = []
        segments: list[Tensor] = []
        follows: list[int] = []
        left = budget
        while left > frame + 1 or not rows:
            whole = self._content(rng, max(min(crop, left) - frame, 2))
            cut = max(1, round(len(whole) * rng.uniform(0.3, 0.7)))
            goes_on = bool(rng.integers(2)) and cut < len(whole)
            second = whole[cut:] if goes_on else self._content(rng, max(len(whole) - cut, 1))
            first = np.concatenate([self.prefix, whole[:cut], self.suffix])
            rows.append(torch.from_numpy(np.concatenate([first, second, self.suffix]).astype(np.int64)))
            segments.append((torch.arange(len(rows[-1])) >= len(first)).long())
            follows.append(int(goes_on))
            left -= len(rows[-1])
        offsets = offsets_of([len(row) for row in rows])
        return Drawn(Ragged(torch.cat(rows), offsets), Ragged(torch.cat(segments), offsets), torch.tensor(follows))

    def _framed(self, starts: np.ndarray, sizes: np.ndarray) -> Drawn:
        """Read crops that begin at these tokens, between special tokens, which count in their sizes."""
        offsets = offsets_of(torch.from_numpy(sizes))
        bounds = offsets.numpy()
        shift = np.repeat(starts - len(self.prefix) - bounds[:-1], sizes)
        places = (np.arange(bounds[-1]) + shift).clip(0, len(self.tokens) - 1)
        ids = self.tokens[places].astype(np.int64)
        special = [(bounds[:-1] + number, token) for number, token in enumerate(self.prefix)]
        special += [(bounds[1:] - number, token) for number, token in enumerate(reversed(self.suffix), start=1)]
        for where, token in special:
            ids[where] = token
        tokens = Ragged(torch.from_numpy(ids), offsets)
        if self.labels is None:
            return Drawn(tokens)
        labels = self.labels[places].astype(np.int64)
        for where, _ in special:
            labels[where] = IGNORED
        return Drawn(tokens, labels=torch.from_numpy(labels))

    def _content(self, rng: np.random.Generator, room: int) -> np.ndarray:
        """Draw up to ``room`` tokens around a random one of the corpus."""
        [begin], [end] = self._places(rng, room, 1)
        content: np.ndarray = self.tokens[begin:end]
        return content

    def _places(self, rng: np.random.Generator, room: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw where stretches of up to ``room`` tokens begin and end, each around a random one of the corpus."""
        position = rng.integers(len(self.tokens), size=count)
        record = np.searchsorted(self.offsets, position, side="right") - 1
        first, last = self.offsets[record], self.offsets[record + 1]
        begin = np.maximum(first, np.minimum(position - rng.integers(room, size=count), last - room))
        return begin, np.minimum(begin + room, last)


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


def open_corpus(folder: Path, part: str) -> Corpus:
    """Map one part of a corpus folder into memory; raises RunError when it is damaged."""
    try:
        facts = json.loads((folder / FACTS).read_text())
        tokens = np.memmap(folder / f"{part}.tokens", dtype=facts["dtype"], mode="r")
        offsets = np.load(folder / f"{part}.offsets.npy", allow_pickle=False)
        labels = np.memmap(folder / f"{part}.labels", dtype=LABEL, mode="r") if "labels" in facts else None
    except (OSError, ValueError, KeyError) as error:
        raise RunError(f"{folder}: the corpus cannot be read ({error}); delete the folder to build it again") from error
    for name, found in (("tokens", tokens), ("labels", labels)):
        if found is not None and len(found) != offsets[-1]:
            raise RunError(f"{folder}: {part}.{name} is cut short; delete the folder to build it again")
    return Corpus(tokens, offsets, tuple(facts["prefix"]), tuple(facts["suffix"]), labels)


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
