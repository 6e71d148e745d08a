"""A compact residual convolutional network, trained from scratch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from labtune.encoder.built import save_built
from labtune.encoder.fading import mixed
from labtune.errors import SettingsError
from labtune.ragged import Ragged
from labtune_expression.alphabet import BASES, UNKNOWN, shares
from labtune_expression.blocks import Block, Norm
from labtune_expression.motifs import detectors, read_motifs
from labtune_expression.strands import StrandEncoder, Strands

KNOWN = "known_motifs"


class ConvEncoder(StrandEncoder):
    """Motif detectors, pooled to bins of a few letters, then residual blocks over the bins.

    Records of a batch lie in one padded block, and what is beyond a record's end is kept at zero before every
    convolution, as the room before its start is: a record gives the same states alone and among others. Every letter
    gets the state of its bin. While it trains, batch normalisation looks at all records of a batch, so the setting
    ``batch_tokens`` should leave room for a whole step.

    Parameters
    ----------
    width
        C, channels between the blocks.
    motifs
        Detectors in the first layer.
    motif_length
        Letters that a detector spans; odd.
    known_motifs
        What the first detectors start as, see :func:`labtune_expression.motifs.read_motifs`; the others start at
        random, and all go on learning.
    bin_size
        Letters that are pooled to one position; the strongest answer counts.
    blocks
        Residual blocks after it; see :class:`labtune_expression.blocks.Block`.
    expansion, reach
        How many times wider a block is inside, and how many bins it looks along (odd).
    dropout
        After pooling and in the blocks; the setting ``dropout`` replaces it.
    members
        Networks side by side, for a head with as many members; the encoder's width is C times this.
    strands, shift
        See :class:`labtune_expression.strands.StrandEncoder`.
    """

    bases: Tensor

    def __init__(
        self,
        *,
        width: int = 64,
        motifs: int = 192,
        motif_length: int = 15,
        known_motifs: str = "",
        bin_size: int = 4,
        blocks: int = 3,
        expansion: int = 3,
        reach: int = 7,
        dropout: float = 0.2,
        members: int = 1,
        strands: Strands = "both",
        shift: int = 0,
    ) -> None:
        super().__init__(width * members, strands=strands, shift=shift)
        if motif_length % 2 == 0 or reach % 2 == 0 or bin_size < 1:
            raise SettingsError("encoder_options: motif_length and reach must be odd, and bin_size at least 1")
        self.bin_size = bin_size
        self.register_buffer("bases", torch.from_numpy(shares()), persistent=False)
        self.detectors = nn.Conv1d(len(BASES) + 1, members * motifs, motif_length, padding=motif_length // 2)
        self.norm = Norm(members * motifs)
        self.dropout = nn.Dropout(dropout)
        self.narrow = nn.Conv1d(members * motifs, self.width, 1, groups=members)
        self.stages = nn.ModuleList([Block(self.width, members, expansion, reach, dropout) for _ in range(blocks)])
        self.last = Norm(self.width)
        if known_motifs:
            self._start_from(known_motifs, members)

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """The residual blocks, first to last."""
        return tuple(self.stages)

    def encode(self, letters: Ragged, reverse: Tensor, fade: Ragged | None = None) -> Ragged:
        """Hidden states ``(N, C)`` of letter ids ``(N,)``."""
        bases = self.bases[letters.values]  # (N, 4)
        if fade is not None:
            bases = mixed(bases, fade.values, self.bases[UNKNOWN])
        rows = torch.repeat_interleave(reverse, letters.lengths).to(self.bases)
        read = torch.cat([bases, rows[:, None]], dim=1)  # (N, 5): bases, and which strand it is
        block, _ = letters.with_values(read).padded()  # (B, T, 5)
        bins, inside = self._bins(F.relu(self.detectors(block.transpose(1, 2))), letters.lengths)
        hidden = self.narrow(self.dropout(self.norm(bins, inside)) * inside) * inside
        for stage in self.stages:
            hidden = stage(hidden, inside)
        states = self.last(hidden, inside).transpose(1, 2).repeat_interleave(self.bin_size, dim=1)  # (B, P bin_size, C)
        return letters.unpadded(states)

    def save(self, folder: Path) -> None:
        """Write what loads again without the file of motifs, which the weights hold already."""
        if self.origin is None:
            super().save(folder)
            return
        options = {name: value for name, value in self.origin.options.items() if name != KNOWN}
        save_built(self, replace(self.origin, options=options), folder)

    def _bins(self, answers: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Pool answers ``(B, M, T)``, none negative, to bins ``(B, M, P)``; say which are there ``(B, 1, P)``."""
        there = torch.arange(answers.shape[2]) < lengths[:, None]
        answers = answers * there[:, None].to(answers)
        bins = F.max_pool1d(answers, self.bin_size, ceil_mode=True)
        count = -(-lengths // self.bin_size)
        inside = torch.arange(bins.shape[2]) < count[:, None]
        return bins, inside[:, None].to(bins)

    @torch.no_grad()
    def _start_from(self, source: str, members: int) -> None:
        """Let the first detectors of every member answer to known motifs, on whichever strand is read."""
        known = read_motifs(source)
        room = len(self.detectors.bias) // members
        if len(known) > room:
            raise SettingsError(
                f"{source} has {len(known)} motifs: set encoder_options.motifs to at least that, not {room}"
            )
        weights, biases = (torch.from_numpy(part) for part in detectors(known, self.detectors.kernel_size[0]))
        for member in range(members):
            rows = slice(member * room, member * room + len(known))
            self.detectors.weight[rows, : len(BASES)] = weights
            self.detectors.weight[rows, len(BASES) :] = 0
            self.detectors.bias[rows] = biases
