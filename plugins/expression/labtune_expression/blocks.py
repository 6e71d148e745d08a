"""Layers over bins of letters: what lies beyond a record's end is zero, counts nothing, and stays zero."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SQUEEZE = 4  # channels that one of the gate's hidden units looks after


class Block(nn.Module):
    """An inverted residual block (Sandler et al. 2018) with a gate, as in EfficientNet (Tan and Le 2019).

    Channels are widened, each looks along the bins on its own, all are weighed by what the whole record holds, and
    narrowed again; the result is added to the input.

    Parameters
    ----------
    channels
        C, of all members together.
    members
        Networks side by side, whose channels do not mix.
    expansion
        How many times wider the block is inside.
    reach
        Bins that a channel looks along; odd.
    dropout
        Of the result.
    """

    def __init__(self, channels: int, members: int, expansion: int, reach: int, dropout: float) -> None:
        super().__init__()
        inner = channels * expansion
        self.widen = nn.Conv1d(channels, inner, 1, groups=members)
        self.widened = Norm(inner)
        self.along = nn.Conv1d(inner, inner, reach, padding=reach // 2, groups=inner)
        self.looked = Norm(inner)
        self.gate = Gate(inner, members)
        self.narrow = nn.Conv1d(inner, channels, 1, groups=members)
        self.narrowed = Norm(channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor, inside: Tensor) -> Tensor:
        """States ``(B, C, P)`` to states, zero where ``inside (B, 1, P)`` is zero."""
        inner = F.silu(self.widened(self.widen(hidden), inside)) * inside
        inner = F.silu(self.looked(self.along(inner), inside)) * inside
        narrow = F.silu(self.narrowed(self.narrow(self.gate(inner, inside)), inside))
        return hidden + self.dropout(narrow) * inside


class Gate(nn.Module):
    """Weighs channels by what the whole record holds (squeeze and excitation, Hu et al. 2018)."""

    def __init__(self, channels: int, members: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(channels, channels // SQUEEZE // members * members or members, 1, groups=members),
            nn.SiLU(),
            nn.Conv1d(channels // SQUEEZE // members * members or members, channels, 1, groups=members),
            nn.Sigmoid(),
        )

    def forward(self, hidden: Tensor, inside: Tensor) -> Tensor:
        """States ``(B, C, P)``, zero outside, to weighed states."""
        mean = hidden.sum(2, keepdim=True) / inside.sum(2, keepdim=True)  # (B, C, 1)
        return hidden * self.layers(mean)


class Norm(nn.BatchNorm1d):
    """Batch normalisation (Ioffe and Szegedy 2015) over the bins that are there.

    Normalising every position on its own instead would raise background to the height of motifs.
    """

    def forward(self, hidden: Tensor, inside: Tensor) -> Tensor:
        """Normalise ``(B, C, P)``; what comes out where ``inside (B, 1, P)`` is zero means nothing."""
        whole = inside.numel() > 1 and bool((inside > 0).all())  # of a single bin torch would make an error
        if whole or not self.training:
            return super().forward(hidden)
        count = inside.sum()
        mean = (hidden * inside).sum((0, 2)) / count  # (C,)
        centred = (hidden - mean[:, None]) * inside
        variance = centred.square().sum((0, 2)) / count
        with torch.no_grad():
            self._remember(mean, variance * count / (count - 1).clamp(min=1))
        return centred * (self.weight * (variance + self.eps).rsqrt())[:, None] + self.bias[:, None]

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics as :class:`torch.nn.BatchNorm1d` does."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.running_mean.lerp_(mean, self.momentum or 0.1)
        self.running_var.lerp_(variance, self.momentum or 0.1)
        self.num_batches_tracked += 1
