"""A compact residual convolutional network, trained from scratch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from labtune.errors import SettingsError
from labtune.ragged import Ragged
from labtune_expression.alphabet import BASES, shares
from labtune_expression.strands import StrandEncoder, Strands

REACH = 5  # bins that a block's convolution spans


class ConvEncoder(StrandEncoder):
    """Motif detectors, pooled to bins of a few letters, then residual blocks over the bins.

    Records of a batch lie in one padded block, and what is beyond a record's end is kept at zero before every
    convolution, as the room before its start is: a record gives the same states alone and among others. Every letter
    gets the state of its bin. While it trains, batch normalisation looks at all records of a batch, so the setting
    ``batch_tokens`` should leave room for a whole step.

    Parameters
    ----------
    width
        C, channels of the blocks.
    motifs
        Detectors in the first layer.
    motif_length
        Letters that a detector spans; odd.
    bin_size
        Letters that are pooled to one position; the strongest answer counts.
    blocks
        Residual blocks after it, each seeing two bins to either side.
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
        width: int = 128,
        motifs: int = 192,
        motif_length: int = 15,
        bin_size: int = 4,
        blocks: int = 2,
        dropout: float = 0.2,
        members: int = 1,
        strands: Strands = "both",
        shift: int = 0,
    ) -> None:
        super().__init__(width * members, strands=strands, shift=shift)
        if motif_length % 2 == 0 or bin_size < 1:
            raise SettingsError("encoder_options.motif_length must be odd, and bin_size at least 1")
        self.bin_size = bin_size
        self.register_buffer("bases", torch.from_numpy(shares()), persistent=False)
        self.detectors = nn.Conv1d(len(BASES) + 1, members * motifs, motif_length, padding=motif_length // 2)
        self.norm = Norm(members * motifs)
        self.dropout = nn.Dropout(dropout)
        self.narrow = nn.Conv1d(members * motifs, self.width, 1, groups=members)
        self.stages = nn.ModuleList([Block(self.width, members, dropout) for _ in range(blocks)])
        self.last = Norm(self.width)

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """The residual blocks, first to last."""
        return tuple(self.stages)

    def encode(self, letters: Ragged, reverse: Tensor) -> Ragged:
        """Hidden states ``(N, C)`` of letter ids ``(N,)``."""
        rows = torch.repeat_interleave(reverse, letters.lengths).to(self.bases)
        read = torch.cat([self.bases[letters.values], rows[:, None]], dim=1)  # (N, 5): bases, and which strand it is
        block, _ = letters.with_values(read).padded()  # (B, T, 5)
        bins, inside = self._bins(F.relu(self.detectors(block.transpose(1, 2))), letters.lengths)
        hidden = self.narrow(self.dropout(self.norm(bins, inside))) * inside
        for stage in self.stages:
            hidden = stage(hidden, inside)
        states = self.last(hidden, inside).transpose(1, 2).repeat_interleave(self.bin_size, dim=1)  # (B, P bin_size, C)
        return letters.unpadded(states)

    def _bins(self, answers: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Pool answers ``(B, M, T)``, none negative, to bins ``(B, M, P)``; say which are there ``(B, 1, P)``."""
        there = torch.arange(answers.shape[2]) < lengths[:, None]
        answers = answers * there[:, None].to(answers)
        bins = F.max_pool1d(answers, self.bin_size, ceil_mode=True)
        count = -(-lengths // self.bin_size)
        inside = torch.arange(bins.shape[2]) < count[:, None]
        return bins, inside[:, None].to(bins)


class Block(nn.Module):
    """Norm, convolution over five bins, GELU and a linear map, added to the input."""

    def __init__(self, channels: int, members: int, dropout: float) -> None:
        super().__init__()
        self.norm = Norm(channels)
        self.layers = nn.Sequential(
            nn.Conv1d(channels, channels, REACH, padding=REACH // 2, groups=members),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Conv1d(channels, channels, 1, groups=members),
        )

    def forward(self, hidden: Tensor, inside: Tensor) -> Tensor:
        """States ``(B, C, P)`` to states, zero where ``inside (B, 1, P)`` is zero."""
        return (hidden + self.layers(self.norm(hidden, inside) * inside)) * inside


class Norm(nn.BatchNorm1d):
    """Batch normalisation (Ioffe and Szegedy 2015) over the bins that are there.

    Normalising every position on its own instead would raise background to the height of motifs.
    """

    def forward(self, hidden: Tensor, inside: Tensor) -> Tensor:
        """Normalise ``(B, C, P)`` where ``inside (B, 1, P)`` is not zero."""
        there = inside[:, 0] > 0
        if not self.training or bool(there.all()):
            return super().forward(hidden)
        columns = hidden.transpose(1, 2)  # (B, P, C)
        block = torch.zeros_like(columns)
        block[there] = super().forward(columns[there])
        return block.transpose(1, 2)
