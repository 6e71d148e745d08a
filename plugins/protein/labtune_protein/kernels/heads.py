"""Heads that know from descriptors what they can, and learn the rest from the encoder's states."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from labtune.builtin.heads import Pooling, SequenceHead
from labtune.protocols import Batch, Output
from labtune.ragged import Ragged
from labtune.specs import Labels
from labtune_protein.kernels.prior import KernelPrior
from labtune_protein.kernels.states import StatesPrior
from labtune_protein.sites import SitesHead

GAIN = 6.0  # from shares of labels to logits, at the start


class KernelHead(SequenceHead):
    """A kernel regression on the composition of a sequence, corrected by the encoder's pooled states.

    Parameters
    ----------
    width
        C, the encoder's width.
    labels
        Of kind ``classes``, ``multilabel`` or ``values``.
    dropout, pooling
        See :class:`labtune.builtin.heads.SequenceHead`.
    sharpness, noise
        See :class:`labtune_protein.kernels.prior.KernelPrior`.
    """

    def __init__(
        self,
        width: int,
        labels: Labels,
        *,
        dropout: float = 0.1,
        pooling: Pooling = "mean",
        sharpness: float = 0.0,
        noise: float = 0.0,
    ) -> None:
        super().__init__(width, labels, dropout=dropout, pooling=pooling)
        self.prior = KernelPrior(labels, "composition", sharpness=sharpness, noise=noise)
        self.combine = Combination(labels)

    def fit(self, batch: Batch) -> None:
        """Learn scale and regression from the training data."""
        super().fit(batch)
        self.prior.fit(batch)

    def forward(self, hidden: Ragged, batch: Batch) -> Output:
        """Hidden states ``(N, C)`` to logits ``(B, L)``."""
        learned = self.linear(self.dropout(self.pooling(hidden, batch))).float()
        return Output(Ragged.one_per_row(self.combine(self.prior(batch.records), learned, self.scale)))


class StatesHead(SequenceHead):
    """A kernel regression on the pooled states of a frozen encoder, corrected by a linear layer on them.

    The regression is solved at once, before the first step. With an encoder that learns, whose states change
    from step to step, it tells the mean of the training data, and the linear layer does the work.

    Parameters
    ----------
    width
        C, the encoder's width.
    labels
        Of kind ``classes``, ``multilabel`` or ``values``.
    dropout, pooling
        See :class:`labtune.builtin.heads.SequenceHead`; of the linear layer.
    """

    def __init__(self, width: int, labels: Labels, *, dropout: float = 0.1, pooling: Pooling = "attention") -> None:
        super().__init__(width, labels, dropout=dropout, pooling=pooling)
        self.prior = StatesPrior(width, labels)
        self.combine = Combination(labels)

    def fit(self, batch: Batch) -> None:
        """Learn scale and mean from the training data."""
        super().fit(batch)
        self.prior.fit_mean(batch)

    def settle(self, batch: Batch, encode: Callable[[Batch], Ragged]) -> None:
        """Learn the regression from the states of the training data."""
        self.prior.fit(batch, encode)

    def forward(self, hidden: Ragged, batch: Batch) -> Output:
        """Hidden states ``(N, C)`` to logits ``(B, L)``."""
        pooled = self.pooling(hidden, batch)  # (B, C)
        learned = self.linear(self.dropout(pooled)).float()
        told = self.prior(hidden, batch)
        return Output(Ragged.one_per_row(self.combine(told, learned, self.scale)), {"states": pooled})


class VariantHead(SitesHead):
    """A kernel regression on substitutions, corrected by the encoder's states at every position.

    Parameters
    ----------
    width, labels, positions, dropout
        See :class:`labtune_protein.sites.SitesHead`.
    sharpness, noise
        See :class:`labtune_protein.kernels.prior.KernelPrior`.
    """

    def __init__(
        self, width: int, labels: Labels, *, sharpness: float = 0.0, noise: float = 0.0, **options: Any
    ) -> None:
        super().__init__(width, labels, **options)
        self.prior = KernelPrior(labels, "sites", sharpness=sharpness, noise=noise)
        self.combine = Combination(labels)

    def fit(self, batch: Batch) -> None:
        """Learn scale and regression from the training data."""
        super().fit(batch)
        self.prior.fit(batch)

    def forward(self, hidden: Ragged, batch: Batch) -> Output:
        """Hidden states ``(N, C)`` to logits ``(B, L)``."""
        learned = self.scores(hidden, batch)
        return Output(Ragged.one_per_row(self.combine(self.prior(batch.records), learned, self.scale)))


class Combination(nn.Module):
    """Adds what was learned from states to what the prior tells.

    Numbers are added on the scale of the training targets. Shares of labels become logits by a factor that is learned.
    """

    def __init__(self, labels: Labels) -> None:
        super().__init__()
        self.kind = labels.kind
        self.gain = nn.Parameter(torch.tensor(GAIN)) if labels.kind != "values" else None

    def forward(self, told: Tensor, learned: Tensor, scale: Any) -> Tensor:
        """Combine ``(B, L)`` with ``(B, L)``."""
        told = told.to(learned)
        if self.gain is None:
            return told + learned * scale.spread
        return self.gain * (told - 0.5 if self.kind == "multilabel" else told) + learned
