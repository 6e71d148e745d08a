"""Token corpora on disk: flat files that are mapped into memory, so that their size never matters.

A corpus folder holds, for each of the parts ``train`` and ``valid``, all content tokens one record after the other
(``train.tokens``, raw integers) and the records' boundaries (``train.offsets.npy``); and ``corpus.json``, which says
from which files, and with which special tokens around every crop. It is written last.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from labtune.data.dataset import sha256_of
from labtune.errors import DataError, RunError
from labtune.folder import write_json
from labtune.protocols import Batch, Tokenizer
from labtune.ragged import Ragged, offsets_of
from labtune.specs import Record

FACTS = "corpus.json"
PARTS = ("train", "valid")
CHUNK = 2000  # records that are tokenised at once


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
    """

    tokens: np.ndarray
    offsets: np.ndarray
    prefix: tuple[int, ...]
    suffix: tuple[int, ...]

    def draw(self, rng: np.random.Generator, *, crop: int, budget: int) -> Ragged:
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

        Returns
        -------
        Ragged
            Token ids ``(N,)`` int64.
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

    def draw_pairs(self, rng: np.random.Generator, *, crop: int, budget: int) -> tuple[Ragged, Ragged, Tensor]:
        """Draw pairs of segments, of which half go on from the first to the second, as BERT's were drawn.

        The others have their second segment from a random place. A pair is framed as one crop, with the closing special
        tokens between its segments as well.

        Parameters
        ----------
        rng, crop, budget
            As for :meth:`draw`.

        Returns
        -------
        tuple
            Token ids ``(N,)``, segment numbers 0 and 1 ``(N,)``, and 1 for pairs that go on ``(B,)``, all int64.
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
        return Ragged(torch.cat(rows), offsets), Ragged(torch.cat(segments), offsets), torch.tensor(follows)

    def _framed(self, starts: np.ndarray, sizes: np.ndarray) -> Ragged:
        """Read crops that begin at these tokens, between special tokens, which count in their sizes."""
        offsets = offsets_of(torch.from_numpy(sizes))
        bounds = offsets.numpy()
        shift = np.repeat(starts - len(self.prefix) - bounds[:-1], sizes)
        places = np.arange(bounds[-1]) + shift
        ids = self.tokens[places.clip(0, len(self.tokens) - 1)].astype(np.int64)
        for number, token in enumerate(self.prefix):
            ids[bounds[:-1] + number] = token
        for number, token in enumerate(reversed(self.suffix), start=1):
            ids[bounds[1:] - number] = token
        return Ragged(torch.from_numpy(ids), offsets)

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
    folder: Path, records: Mapping[Path, Iterable[Record]], tokenizer: Tokenizer, size: int, valid_share: float
) -> dict[str, Any]:
    """Tokenise records as they are read and write a corpus folder; returns its facts.

    Parameters
    ----------
    folder
        To make. When it is there already with the same sources, nothing is done.
    records
        Unlabelled records by file.
    tokenizer
        The task's own; its special tokens are taken off.
    size
        Number of tokens in the vocabulary.
    valid_share
        Share of the records held out, chosen by a hash of their tokens: equal records are never parted.

    Raises
    ------
    DataError
        If the tokenizer gives no token ids, or a part would be empty.
    """
    sources = {path.name: sha256_of(path) for path in records}
    if (folder / FACTS).exists():
        return _same_sources(folder, sources)
    folder.mkdir(parents=True, exist_ok=True)
    kind = np.dtype(np.uint8 if size <= 1 << 8 else np.uint16 if size <= 1 << 16 else np.uint32)
    writers = {part: _Writer(folder / f"{part}.tokens", kind) for part in PARTS}
    frame: tuple[list[int], list[int]] = ([], [])
    for chunk in _chunks(records.values()):
        batch = tokenizer(chunk)
        frame = _frame(batch)
        for row in _contents(batch):
            content = row.numpy().astype(kind)
            writers["valid" if _chance(content) < valid_share else "train"].add(content)
    facts: dict[str, Any] = {
        "sources": sources,
        "dtype": kind.name,
        "prefix": frame[0],
        "suffix": frame[1],
        "valid_share": valid_share,
        **{part: writer.close(folder / f"{part}.offsets.npy") for part, writer in writers.items()},
    }
    for part in PARTS:
        if not facts[part]["tokens"]:
            raise DataError(f"{len(sources)} files leave no {part} record; give more data or another valid_share")
    write_json(folder / FACTS, facts)
    return facts


def open_corpus(folder: Path, part: str) -> Corpus:
    """Map one part of a corpus folder into memory; raises RunError when it is damaged."""
    try:
        facts = json.loads((folder / FACTS).read_text())
        tokens = np.memmap(folder / f"{part}.tokens", dtype=facts["dtype"], mode="r")
        offsets = np.load(folder / f"{part}.offsets.npy", allow_pickle=False)
    except (OSError, ValueError, KeyError) as error:
        raise RunError(f"{folder}: the corpus cannot be read ({error}); delete the folder to build it again") from error
    if len(tokens) != offsets[-1]:
        raise RunError(f"{folder}: {part}.tokens is cut short; delete the folder to build it again")
    return Corpus(tokens, offsets, tuple(facts["prefix"]), tuple(facts["suffix"]))


class _Writer:
    """Appends the tokens of records to a file."""

    def __init__(self, path: Path, kind: np.dtype[Any]) -> None:
        self.file = path.open("wb")
        self.digest = hashlib.sha256()
        self.kind = kind
        self.lengths: list[int] = []
        self.counts: Counter[int] = Counter()

    def add(self, content: np.ndarray) -> None:
        found, times = np.unique(content, return_counts=True)
        self.counts.update(dict(zip(found.tolist(), times.tolist(), strict=True)))
        data = content.tobytes()
        self.file.write(data)
        self.digest.update(data)
        self.lengths.append(len(content))

    def close(self, offsets: Path) -> dict[str, Any]:
        self.file.close()
        bounds = offsets_of(self.lengths).numpy()
        np.save(offsets, bounds, allow_pickle=False)
        facts = {"records": len(self.lengths), "tokens": int(bounds[-1]), "sha256": self.digest.hexdigest()}
        return {**facts, "counts": {str(token): count for token, count in sorted(self.counts.items())}}


def _same_sources(folder: Path, sources: Mapping[str, str]) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((folder / FACTS).read_text())
    if facts["sources"] != sources:
        raise RunError(f"{folder} was made from other files; choose another --out")
    return facts


def _chunks(files: Iterable[Iterable[Record]]) -> Iterator[Sequence[Record]]:
    stream = chain.from_iterable(files)
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


def _contents(batch: Batch) -> Iterator[Tensor]:
    for row in batch.inputs["input_ids"]:
        content = row[batch.prefix : len(row) - batch.suffix]
        if len(content):
            yield content


def _chance(content: np.ndarray) -> float:
    return int.from_bytes(hashlib.sha256(content.tobytes()).digest()[:8], "little") / 2.0**64
