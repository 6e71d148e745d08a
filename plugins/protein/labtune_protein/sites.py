"""A head for sets of variants, in which a position means the same in every sequence."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from labtune.builtin.heads import SequenceHead
from labtune.protocols import Batch, Output
from labtune.ragged import Ragged
from labtune.specs import Labels

BLOCK = 256  # records whose states are looked at together


class SitesHead(SequenceHead):
    """Adds a weight vector for every position to the head that pools.

    What a substitution does depends on where it is, and a pooled state has forgotten where. The output is that of
    :class:`labtune.builtin.heads.SequenceHead` plus the sum over positions p of ``<w_p, h_p>``, with states that are
    normalised, unless they are differences to a reference: those are zero where nothing changed. Of a frozen encoder
    the training data's mean state at each position is subtracted: variants have most of their states in common, and
    steps along what is common would only shift every prediction. On states that only tell letters apart this is
    linear regression on one-hot letters. The weights start at zero.

    Parameters
    ----------
    width
        C, the encoder's width.
    labels
        Of kind ``classes``, ``multilabel`` or ``values``.
    positions
        Of longer sequences the further ones share the last weights.
    dropout
        On the states.
    """

    def __init__(self, width: int, labels: Labels, *, positions: int = 512, dropout: float = 0.1) -> None:
        super().__init__(width, labels, dropout=dropout)
        self.positions = positions
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.weights = nn.Parameter(torch.zeros(positions, width, len(labels.names)))
        self.center: Tensor
        self.register_buffer("center", torch.zeros(positions, width))

    def settle(self, batch: Batch, encode: Callable[[Batch], Ragged]) -> None:
        """Learn the mean state of every position from the states of the training data."""
        if batch.reference is not None:
            return
        total, count = torch.zeros_like(self.center), torch.zeros_like(self.center[:, :1])
        for row in range(0, len(batch), BLOCK):
            states = encode(batch.select(range(row, min(row + BLOCK, len(batch)))))
            place = self._places(states)
            total.index_add_(0, place, self.norm(states.values.float()).to(total))
            count.index_add_(0, place, count.new_ones(len(place), 1))
        self.center.copy_(total / count.clamp(min=1))

    def forward(self, hidden: Ragged, batch: Batch) -> Output:
        """Hidden states ``(N, C)`` to logits ``(B, L)``."""
        return Output(Ragged.one_per_row(self.scale(self.scores(hidden, batch))))

    def scores(self, hidden: Ragged, batch: Batch) -> Tensor:
        """Hidden states ``(N, C)`` to logits before they are scaled: ``(B, L)``."""
        pooled = self.linear(self.dropout(self.hidden_layer(self.pooling(hidden, batch)))).float()
        states = hidden.values.float()
        return pooled + self._by_site(hidden.with_values(states if batch.reference else self.norm(states)))

    def _by_site(self, states: Ragged) -> Tensor:
        """Sum of each record's states, weighted by position: ``(B, L)``."""
        place = self._places(states)
        told = torch.einsum("nc,ncl->nl", self.dropout(states.values - self.center[place]), self.weights[place])
        return states.with_values(told).sum() / states.values.shape[1] ** 0.5

    def _places(self, states: Ragged) -> Tensor:
        """Position of each state in its record: ``(N,)``."""
        starts = torch.repeat_interleave(states.offsets[:-1], states.lengths)
        return (torch.arange(len(starts)) - starts).clamp(max=self.positions - 1).to(self.center.device)
