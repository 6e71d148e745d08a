"""Which tokens are hidden from the encoder, and what it reads in their place."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from labtune.pretraining.corpus import Drawn
from labtune.ragged import Ragged

SHOWN_AS_MASK, SHOWN_AS_RANDOM = 0.8, 0.1  # the rest is shown as it is
SPAN_STOP, LONGEST_SPAN = 0.2, 10


@dataclass(frozen=True, eq=False)
class Masked:
    """A batch to learn from.

    Parameters
    ----------
    tokens
        What the encoder reads, ``(N,)``.
    positions
        Flat positions to predict, ``(M,)``.
    truth
        The tokens there, ``(M,)``.
    segments, follows
        For pairs of segments: which segment a token is in ``(N,)``, and whether the second goes on from the first
        ``(B,)``. None for single ones.
    labels
        Number of every token's label ``(N,)``, ``IGNORED`` where it has none. None for a corpus without labels.
    """

    tokens: Ragged
    positions: Tensor
    truth: Tensor
    segments: Ragged | None = None
    follows: Tensor | None = None
    labels: Tensor | None = None

    def to(self, device: torch.device) -> Masked:
        """Move every tensor."""
        return Masked(
            self.tokens.to(device),
            self.positions.to(device),
            self.truth.to(device),
            None if self.segments is None else self.segments.to(device),
            None if self.follows is None else self.follows.to(device),
            None if self.labels is None else self.labels.to(device),
        )


@dataclass(frozen=True, eq=False)
class Masking:
    """Hides tokens as BERT does (Devlin et al. 2019, arXiv:1810.04805).

    Of the chosen tokens 80 % are replaced by the mask token, 10 % by a random one, and 10 % stay.

    Parameters
    ----------
    share
        Of the content tokens that are chosen.
    spans
        Choose runs of tokens, their lengths geometric with parameter 0.2 and at most 10, as SpanBERT does (Joshi et al.
        2020, doi:10.1162/tacl_a_00300); single tokens otherwise.
    mask_id
        The mask token.
    content_ids
        Tokens that may be chosen, and from which random ones are drawn ``(V,)``.
    """

    share: float
    spans: bool
    mask_id: int
    content_ids: np.ndarray

    def __call__(self, drawn: Drawn, rng: np.random.Generator) -> Masked:
        """Hide tokens of a batch; special tokens never. At least one token is hidden, if any can be."""
        tokens = drawn.tokens
        ids = tokens.values.numpy()
        allowed = np.isin(ids, self.content_ids)
        chosen = self._spans(tokens, rng) if self.spans else rng.random(len(ids)) < self.share
        chosen &= allowed
        if not chosen.any() and allowed.any():
            chosen[rng.choice(np.flatnonzero(allowed))] = True
        positions = np.flatnonzero(chosen)
        fate = rng.random(len(positions))
        shown = np.where(fate < SHOWN_AS_MASK, self.mask_id, ids[positions])
        is_random = (fate >= SHOWN_AS_MASK) & (fate < SHOWN_AS_MASK + SHOWN_AS_RANDOM)
        shown = np.where(is_random, rng.choice(self.content_ids, len(positions)), shown)
        values = tokens.values.clone()
        places = torch.from_numpy(positions)
        values[places] = torch.from_numpy(shown)
        shown_tokens = tokens.with_values(values)
        return Masked(shown_tokens, places, tokens.values[places], drawn.segments, drawn.follows, drawn.labels)

    def _spans(self, tokens: Ragged, rng: np.random.Generator) -> np.ndarray:
        """Choose spans within records until they cover the share: ``(N,)`` bool."""
        chosen = np.zeros(len(tokens.values), dtype=bool)
        for begin, end in pairwise(tokens.bounds):
            wanted = rng.binomial(end - begin, self.share)
            while (lacking := wanted - int(chosen[begin:end].sum())) > 0:
                length = min(int(rng.geometric(SPAN_STOP)), LONGEST_SPAN, lacking)
                start = int(rng.integers(begin, max(begin, end - length) + 1))
                chosen[start : min(start + length, end)] = True
        return chosen
