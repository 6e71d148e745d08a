"""Token corpora on disk: flat files that are mapped into memory, so that their size never matters.

A corpus folder holds, for each of the parts ``train`` and ``valid``, all content tokens one record after the other
(``train.tokens``, raw integers) and the records' boundaries (``train.offsets.npy``); and ``corpus.json``, which says
from which files, and with which special tokens around every crop. It is written last. Where some records have labels,
``train.labels`` holds one for every token.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from labtune.errors import RunError
from labtune.protocols import IGNORED
from labtune.ragged import Ragged, offsets_of

FACTS = "corpus.json"
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
