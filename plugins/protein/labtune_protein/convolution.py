"""Convolutions along the chain, and a head for residues that has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from labtune.builtin.heads import TokenHead
from labtune.errors import SettingsError
from labtune.protocols import Batch
from labtune.ragged import Ragged
from labtune.specs import Labels
from labtune_protein.baselines import LETTERS, letter_numbers

FAMILIES = Path(__file__).parent / "families" / "states" / "convolutions.safetensors"
CHANNELS = 128  # of the weights in that file
KERNEL = 9  # residues that one convolution sees, before dilation
DILATIONS = (1, 1, 2, 4)


class ChainConvolutions(nn.Module):
    """Letters and states of the residues around each residue, by residual dilated convolutions.

    What an encoder that knows little lacks, this knows: which letters near by matter for the fold. Pre-trained weights
    learned it from the secondary structure that families of sequences agree on; the encoder's states then begin
    with next to no influence.

    Parameters
    ----------
    width
        C, the encoder's width.
    channels
        D, of what comes out.
    dropout
        On the states, and on every block's update.
    pretrained
        Whether to start from the weights in the package, which have 128 channels.

    Raises
    ------
    SettingsError
        If pre-trained convolutions are asked for with other channels.
    """

    def __init__(self, width: int, channels: int, *, dropout: float, pretrained: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.states = nn.Linear(width, channels)
        self.letters = nn.Embedding(LETTERS, channels)
        self.blocks = nn.ModuleList(_Block(channels, dilation, dropout) for dilation in DILATIONS)
        self.gap = KERNEL // 2 * max(DILATIONS)  # so that no convolution reaches from one record into the next
        self.last = nn.LayerNorm(channels)
        if pretrained:
            self._start_from_families(channels)

    def forward(self, states: Ragged, letters: Tensor) -> Ragged:
        """States ``(U, C)`` and letters ``(U,)`` of residues to ``(U, D)``."""
        mixed = self.states(self.dropout(self.norm(states.values))) + self.letters(letters)
        line, places = states.with_values(mixed).spaced(self.gap)  # (T, D), (U,)
        mask = line.new_zeros((len(line), 1)).index_fill(0, places, 1)
        for layer in self.blocks:
            line = layer(line, mask)
        seen: Tensor = self.last(line.index_select(0, places))
        return states.with_values(seen)

    def quieten_states(self) -> None:
        """Let the encoder's states begin with next to no influence, where the letters are trained already."""
        nn.init.normal_(self.states.weight, std=1e-3)  # next to nothing, and not nothing: the norm before it learns too
        nn.init.zeros_(self.states.bias)

    def _start_from_families(self, channels: int) -> None:
        if channels != CHANNELS:
            raise SettingsError(
                f"pre-trained convolutions have {CHANNELS} channels, not {channels}; "
                f"for others add --set head.pretrained=false"
            )
        self.load_state_dict({**self.state_dict(), **load_file(FAMILIES)})
        self.quieten_states()


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
    pretrained
        Whether the convolutions start from what families of sequences taught them.
    """

    def __init__(
        self,
        width: int,
        labels: Labels,
        *,
        dropout: float = 0.1,
        channels: int = CHANNELS,
        pretrained: bool = True,
    ) -> None:
        super().__init__(channels, labels, dropout=dropout)
        self.convolutions = ChainConvolutions(width, channels, dropout=dropout, pretrained=pretrained)

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
