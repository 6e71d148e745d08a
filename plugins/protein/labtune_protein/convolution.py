"""Convolutions along the chain, and a head for residues that has them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from labtune.builtin.heads import TokenHead
from labtune.errors import SettingsError
from labtune.protocols import Batch
from labtune.ragged import Ragged
from labtune.specs import Labels
from labtune_protein.baselines import LETTERS, letter_numbers

KERNEL = 9  # residues that one convolution sees, before dilation
DILATIONS = (1, 1, 2, 4)


class ChainConvolutions(nn.Module):
    """Letters and states of the residues around each residue, by residual dilated convolutions.

    What an encoder that knows little lacks, this learns from the labels: which letters near by matter.

    Parameters
    ----------
    width
        C, the encoder's width.
    channels
        D, of what comes out.
    dilations
        Of the convolutions, one after the other.
    dropout
        On the states, and on every block's update.
    """

    def __init__(
        self, width: int, channels: int, *, dilations: Sequence[int] = DILATIONS, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.states = nn.Linear(width, channels)
        self.letters = nn.Embedding(LETTERS, channels)
        self.blocks = nn.ModuleList(_Block(channels, dilation, dropout) for dilation in dilations)
        self.gap = KERNEL // 2 * max(dilations)  # so that no convolution reaches from one record into the next
        self.last = nn.LayerNorm(channels)

    def forward(self, states: Ragged, letters: Tensor) -> Ragged:
        """States ``(U, C)`` and letters ``(U,)`` of residues to ``(U, D)``."""
        mixed = self.states(self.dropout(self.norm(states.values))) + self.letters(letters)
        line, places = states.with_values(mixed).spaced(self.gap)  # (T, D), (U,)
        mask = line.new_zeros((len(line), 1)).index_fill(0, places, 1)
        for layer in self.blocks:
            line = layer(line, mask)
        seen: Tensor = self.last(line.index_select(0, places))
        return states.with_values(seen)


class ConvolutionHead(TokenHead):
    """Predicts for every residue from the letters and states around it.

    Parameters
    ----------
    width
        C, the encoder's width.
    labels
        Of kind ``classes`` or ``values``.
    dropout
        On the states.
    channels
        Width of the convolutions.
    """

    def __init__(self, width: int, labels: Labels, *, dropout: float = 0.1, channels: int = 96) -> None:
        super().__init__(channels, labels, dropout=dropout)
        self.convolutions = ChainConvolutions(width, channels, dropout=dropout)

    def project(self, hidden: Ragged, batch: Batch) -> Ragged:
        """Scores of every residue: ragged ``(U, L)``."""
        around = self.convolutions(residue_states(hidden, batch), residue_letters(batch))
        return around.with_values(self.linear(self.dropout(around.values)).float())


class _Block(nn.Module):
    """One residual convolution; places between records stay zero."""

    def __init__(self, channels: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.spread = nn.Conv1d(channels, channels, KERNEL, padding=KERNEL // 2 * dilation, dilation=dilation)
        self.mix = nn.Linear(channels, channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, line: Tensor, mask: Tensor) -> Tensor:
        """Residues ``(T, D)`` to the same shape; mask ``(T, 1)``, 1 where there is a residue."""
        seen = (self.norm(line) * mask).T[None]  # (1, D, T)
        update = self.mix(nn.functional.gelu(self.spread(seen)[0].T))
        updated: Tensor = line + self.dropout(update) * mask
        return updated


def residue_states(hidden: Ragged, batch: Batch) -> Ragged:
    """States of the residues without special tokens: ragged ``(U, C)``."""
    if batch.units is None:
        raise SettingsError("this head predicts for residues; use it with a tokenizer of residues or pairs")
    return batch.units.with_values(hidden.values.index_select(0, batch.unit_index))


def residue_letters(batch: Batch) -> Tensor:
    """Number of each residue's letter, ``(U,)`` on the device of the batch."""
    rows = [letter_numbers(record.input) for record in batch.records]
    letters = np.concatenate(rows) if rows else np.zeros(0, dtype=np.int64)
    return torch.from_numpy(letters).to(batch.tokens.values.device)
