"""Losses: each averages over the targets that are there, and says over how many.

Number targets are divided by the spread of the training targets, so that a learning rate means the same for melting
points and for fractions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from labtune.errors import SettingsError
from labtune.protocols import IGNORED, Batch, Output
from labtune.specs import Labels

ClassWeights = Literal["none", "balanced"] | Sequence[float]


class CrossEntropy:
    """Cross-entropy over classes, with class weights and label smoothing.

    The average is over real targets; with class weights each target counts by its weight (as ``torch`` does), but the
    sum is still divided by their number, so that accumulated batches add up exactly. Weights average to one over the
    training targets.

    Parameters
    ----------
    labels
        What is predicted.
    class_weights
        ``none``; ``balanced``, inversely proportional to the frequency in the training data; or one number a class.
    smoothing
        Label smoothing, between 0 and 1 (Szegedy et al. 2016).
    """

    def __init__(self, labels: Labels, *, class_weights: ClassWeights = "none", smoothing: float = 0.0) -> None:
        if not 0 <= smoothing < 1:
            raise SettingsError(f"loss.smoothing is {smoothing}; it goes from 0 to below 1")
        if isinstance(class_weights, str) and class_weights not in ("none", "balanced"):
            raise SettingsError(f"loss.class_weights is {class_weights!r}; use none, balanced or one number a class")
        self.labels = labels
        self.smoothing = smoothing
        self.balanced = class_weights == "balanced"
        self.weights = None if isinstance(class_weights, str) else torch.tensor(class_weights, dtype=torch.float32)

    def fit(self, batch: Batch) -> None:
        """Count the classes of the training data for balanced weights."""
        if self.balanced:
            counts = torch.bincount(_real(_targets(batch)).long()).float()
            present = counts > 0
            self.weights = torch.where(present, counts.sum() / (present.sum() * counts.clamp(min=1)), 0.0)

    def __call__(self, output: Output, batch: Batch) -> Tensor:
        """Scalar loss of logits ``(U, L)`` or ``(B, L)``."""
        logits, targets = output.logits.values, _targets(batch)
        weights = None if self.weights is None else _padded_to(self.weights, logits.shape[1]).to(logits)
        total = F.cross_entropy(
            logits, targets, weight=weights, ignore_index=IGNORED, label_smoothing=self.smoothing, reduction="sum"
        )
        return total / max(self.count(batch), 1)

    def count(self, batch: Batch) -> int:
        """Real targets."""
        return int((_targets(batch) != IGNORED).sum())


class Focal(CrossEntropy):
    """Focal loss: examples that are already right count less (Lin et al. 2017, equation 4).

    ``-(1 - p)^gamma log p`` of the true class, with the same class weights as :class:`CrossEntropy`.

    Parameters
    ----------
    labels, class_weights
        As for :class:`CrossEntropy`.
    gamma
        How much less; 0 is cross-entropy.
    """

    def __init__(self, labels: Labels, *, gamma: float = 2.0, class_weights: ClassWeights = "none") -> None:
        super().__init__(labels, class_weights=class_weights)
        if gamma < 0:
            raise SettingsError(f"loss.gamma is {gamma}; it cannot be negative")
        self.gamma = gamma

    def __call__(self, output: Output, batch: Batch) -> Tensor:
        """Scalar loss of logits ``(U, L)`` or ``(B, L)``."""
        logits, targets = output.logits.values, _targets(batch)
        real = targets != IGNORED
        log_p = logits.log_softmax(-1)[real].gather(1, targets[real, None])[:, 0]
        terms = -((1 - log_p.exp()) ** self.gamma) * log_p
        if self.weights is not None:
            terms = terms * _padded_to(self.weights, logits.shape[1]).to(logits)[targets[real]]
        return terms.sum() / max(len(terms), 1)


class BinaryCrossEntropy:
    """Independent yes-or-no cross-entropy for each label of a multi-label task."""

    def __init__(self, labels: Labels) -> None:
        self.labels = labels

    def __call__(self, output: Output, batch: Batch) -> Tensor:
        """Scalar loss of logits ``(B, L)`` against zeros and ones, NaN where unknown."""
        logits, targets = output.logits.values, _targets(batch).float()
        real = ~targets.isnan()
        total = F.binary_cross_entropy_with_logits(logits[real], targets[real], reduction="sum")
        return total / max(int(real.sum()), 1)

    def count(self, batch: Batch) -> int:
        """Known yes-or-no answers."""
        return int((~_targets(batch).float().isnan()).sum())


class MeanSquaredError:
    """Squared error of numbers, in units of the training targets' variance."""

    def __init__(self, labels: Labels) -> None:
        self.labels = labels
        self.spread = torch.ones(len(labels.names))

    def fit(self, batch: Batch) -> None:
        """Learn the spread of the training targets."""
        targets = _targets(batch).float().reshape(-1, len(self.labels.names))
        for column in range(targets.shape[1]):
            known = targets[~targets[:, column].isnan(), column]
            spread = known.std(correction=0) if len(known) else torch.tensor(1.0)
            self.spread[column] = spread if spread > 0 else 1.0

    def __call__(self, output: Output, batch: Batch) -> Tensor:
        """Scalar loss of numbers ``(U, L)`` or ``(B, L)``, NaN targets left out."""
        predicted = output.logits.values
        targets = _targets(batch).to(predicted).reshape(predicted.shape)
        real = ~targets.isnan()
        difference = ((predicted - targets.nan_to_num()) / self.spread.to(predicted))[real]
        return self.penalty(difference).sum() / max(int(real.sum()), 1)

    def penalty(self, difference: Tensor) -> Tensor:
        """Penalty of each scaled difference."""
        return difference.square()

    def count(self, batch: Batch) -> int:
        """Known numbers."""
        return int((~_targets(batch).float().isnan()).sum())


class Huber(MeanSquaredError):
    """Squared for small errors and linear for large ones (Huber 1964), so that outliers pull less.

    Parameters
    ----------
    labels
        What is predicted.
    delta
        Where it turns linear, in standard deviations of the training targets.
    """

    def __init__(self, labels: Labels, *, delta: float = 1.0) -> None:
        super().__init__(labels)
        if delta <= 0:
            raise SettingsError(f"loss.delta is {delta}; it must be positive")
        self.delta = delta

    def penalty(self, difference: Tensor) -> Tensor:
        """Penalty of each scaled difference."""
        return F.huber_loss(difference, torch.zeros_like(difference), delta=self.delta, reduction="none")


def _targets(batch: Batch) -> Tensor:
    if batch.targets is None:
        raise ValueError("a loss needs targets, and these records are unlabelled")
    return batch.targets.values


def _real(targets: Tensor) -> Tensor:
    return targets[targets != IGNORED]


def _padded_to(weights: Tensor, size: int) -> Tensor:
    """Weights of classes that training never showed are zero."""
    if len(weights) > size:
        raise SettingsError(f"loss.class_weights has {len(weights)} numbers, but there are {size} classes")
    return F.pad(weights, (0, size - len(weights)))
