"""Encoders of DNA that read both strands, and see every sequence a little displaced while they train.

Training reads one strand of each record, drawn anew in every step; prediction reads both and averages the hidden states
of each position (post-hoc conjoined, Zhou et al. 2022, doi:10.1093/bioinformatics/btac433). The network is told which
strand it reads, because a promoter has a direction.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from labtune.encoder.base import Encoder
from labtune.encoder.fading import without_fade
from labtune.errors import SettingsError
from labtune.ragged import Ragged, concatenate
from labtune_expression.alphabet import COMPLEMENTS, UNKNOWN

Strands = Literal["both", "forward"]


class StrandEncoder(Encoder):
    """What the networks of this plugin share; a subclass defines ``encode``.

    Parameters
    ----------
    width
        C, size of a hidden state.
    strands
        ``both``, or ``forward`` for what has one strand, such as RNA.
    shift
        Largest displacement in training, in letters to either side; the room it leaves is filled with N.
    """

    complements: Tensor
    fades = True

    def __init__(self, width: int, *, strands: Strands, shift: int) -> None:
        super().__init__()
        if strands not in ("both", "forward"):
            raise SettingsError(f"encoder_options.strands is {strands!r}; use both or forward")
        if shift < 0:
            raise SettingsError(f"encoder_options.shift is {shift}; it cannot be negative")
        self.width = width
        self.both = strands == "both"
        self.shift = shift
        self.register_buffer("complements", torch.tensor(COMPLEMENTS), persistent=False)

    def encode(self, letters: Ragged, reverse: Tensor, fade: Ragged | None = None) -> Ragged:
        """Hidden states ``(N, C)`` of letter ids ``(N,)``.

        Parameters
        ----------
        letters
            As they are read.
        reverse
            ``(B,)`` bool on the CPU: which records are read on the reverse strand.
        fade
            How far each letter is gone, see :mod:`labtune.encoder.fading`.
        """
        raise NotImplementedError

    def forward(self, inputs: Mapping[str, Ragged]) -> Ragged:
        """Hidden states ``(N, C)`` at the positions of the letters as given."""
        rest, fade = without_fade(inputs)
        letters = rest["input_ids"]
        if self.training:
            return self._one_strand(letters)
        forward = torch.zeros(len(letters), dtype=torch.bool)
        if not self.both:
            return self.encode(letters, forward, fade)
        sides = torch.cat([forward, ~forward])
        doubled = concatenate([letters, letters])
        gone = None if fade is None else turn(concatenate([fade, fade]), sides)
        hidden = turn(self.encode(self._read(doubled, sides), sides, gone), sides)
        return letters.with_values(hidden.values.unflatten(0, (2, -1)).mean(0))

    def _one_strand(self, letters: Ragged) -> Ragged:
        """Encode an augmented view; chance comes from the global generator, which is seeded for every step."""
        if self.shift:
            letters = displace(letters, torch.randint(-self.shift, self.shift + 1, (len(letters),)))
        sides = torch.rand(len(letters)) < 0.5 if self.both else torch.zeros(len(letters), dtype=torch.bool)
        return turn(self.encode(self._read(letters, sides), sides), sides)

    def _read(self, letters: Ragged, reverse: Tensor) -> Ragged:
        """Give the letters of the reverse strand where it is read."""
        turned = turn(letters, reverse).values
        rows = torch.repeat_interleave(reverse, letters.lengths).to(turned.device)
        return letters.with_values(torch.where(rows, self.complements[turned], turned))


def turn(ragged: Ragged, reverse: Tensor) -> Ragged:
    """Reverse the order of the rows in the records for which ``reverse (B,)`` is true."""
    if not reverse.any():
        return ragged
    here = torch.arange(len(ragged.values))
    mirrored = torch.repeat_interleave(ragged.offsets[:-1] + ragged.offsets[1:] - 1, ragged.lengths) - here
    index = torch.where(torch.repeat_interleave(reverse, ragged.lengths), mirrored, here)
    return ragged.with_values(ragged.values[index.to(ragged.values.device)])


def displace(letters: Ragged, amounts: Tensor) -> Ragged:
    """Move each record's letters to the right by ``amounts (B,)``; what comes in is N, what goes out is lost."""
    source = torch.arange(len(letters.values)) - torch.repeat_interleave(amounts, letters.lengths)
    starts, ends = (
        torch.repeat_interleave(part, letters.lengths) for part in (letters.offsets[:-1], letters.offsets[1:])
    )
    inside = (source >= starts) & (source < ends)
    moved = letters.values[torch.where(inside, source, 0).to(letters.values.device)]
    return letters.with_values(moved.masked_fill(~inside.to(moved.device), UNKNOWN))
