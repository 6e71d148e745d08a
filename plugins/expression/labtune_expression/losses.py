"""Losses of head ``expression.values``, each averaged over the numbers that are there.

Of several members each has its own loss, and they are averaged.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch.nn.functional as F
from torch import Tensor

from labtune.errors import DataError, SettingsError
from labtune.protocols import Batch, Output
from labtune.specs import Labels
from labtune_expression.bins import CENTERS, softened
from labtune_expression.head import MEMBERS, columns_of, log_shares_of
from labtune_expression.transforms import transformed

NARROWEST = -8.0  # log variance; below, the likelihood would run away on a repeated target
SLOWEST = 1e-6  # rate of counts


class ValueLoss(ABC):
    """What the losses share.

    Parameters
    ----------
    labels
        Of kind ``values``.
    """

    def __init__(self, labels: Labels) -> None:
        self.outputs = len(labels.names)

    def __call__(self, output: Output, batch: Batch) -> Tensor:
        """Scalar loss of logits ``(B, M L)``, log variances behind them; NaN targets count nothing."""
        values, log_variances = columns_of(output, self.outputs)  # (B, M, L)
        targets = _targets(batch).to(values).reshape(len(values), 1, self.outputs).expand_as(values)
        real = ~targets.isnan()
        variances = None if log_variances is None else log_variances[real]
        if self.on_scale:
            values, targets = (transformed(numbers, output.extras) for numbers in (values, targets))
        return self.penalty(values[real], targets[real], variances).sum() / max(int(real.sum()), 1)

    on_scale = True
    """Whether the penalty is taken on the transformed scale."""

    @abstractmethod
    def penalty(self, predicted: Tensor, wanted: Tensor, log_variance: Tensor | None) -> Tensor:
        """Loss of each number ``(K,)``."""

    def count(self, batch: Batch) -> int:
        """Known numbers."""
        return int((~_targets(batch).isnan()).sum())


class SquaredError(ValueLoss):
    """Squared error on the transformed scale."""

    def penalty(self, predicted: Tensor, wanted: Tensor, log_variance: Tensor | None) -> Tensor:
        """Loss of each number ``(K,)``."""
        return (predicted - wanted) ** 2


class HuberError(ValueLoss):
    """Squared for small errors and linear for large ones (Huber 1964), on the transformed scale.

    Parameters
    ----------
    labels
        Of kind ``values``.
    delta
        Where it turns linear.
    """

    def __init__(self, labels: Labels, *, delta: float = 1.0) -> None:
        super().__init__(labels)
        if delta <= 0:
            raise SettingsError(f"loss.delta is {delta}; it must be positive")
        self.delta = delta

    def penalty(self, predicted: Tensor, wanted: Tensor, log_variance: Tensor | None) -> Tensor:
        """Loss of each number ``(K,)``."""
        return F.huber_loss(predicted, wanted, delta=self.delta, reduction="none")


class Gaussian(ValueLoss):
    """Negative log-likelihood of a normal distribution whose variance is predicted too (Nix and Weigend 1994).

    Each term is weighed by ``variance ** beta``, which keeps hard records from being given up (Seitzer et al. 2022,
    arXiv 2203.09168, equation 4).

    Parameters
    ----------
    labels
        Of kind ``values``.
    beta
        0 is the plain likelihood, 1 weighs errors as the squared error does.
    """

    def __init__(self, labels: Labels, *, beta: float = 0.5) -> None:
        super().__init__(labels)
        if not 0 <= beta <= 1:
            raise SettingsError(f"loss.beta is {beta}; it goes from 0 to 1")
        self.beta = beta

    def penalty(self, predicted: Tensor, wanted: Tensor, log_variance: Tensor | None) -> Tensor:
        """Loss of each number ``(K,)``."""
        if log_variance is None:
            raise SettingsError("loss expression.gaussian needs a predicted variance: set head.uncertainty to true")
        bounded = log_variance.clamp(min=NARROWEST)
        terms = 0.5 * (bounded + (predicted - wanted) ** 2 / bounded.exp() + math.log(2 * math.pi))
        return terms * (self.beta * bounded.detach()).exp()


class SoftBins:
    """Cross-entropy between the predicted shares of bins and those that a target softens to.

    Parameters
    ----------
    labels
        Of kind ``values``.
    """

    def __init__(self, labels: Labels) -> None:
        self.outputs = len(labels.names)

    def __call__(self, output: Output, batch: Batch) -> Tensor:
        """Scalar loss of log shares ``(B, M, L, K)``; NaN targets count nothing."""
        log_shares = log_shares_of(output, self.outputs)
        targets = _targets(batch).to(log_shares).reshape(len(log_shares), self.outputs)
        wanted = transformed(targets, output.extras)
        real = ~wanted.isnan()
        shares = softened(wanted.nan_to_num(), output.extras[CENTERS])[:, None]  # (B, 1, L, K)
        terms = -(shares * log_shares).sum(-1).mean(1)  # (B, L)
        return terms[real].sum() / max(int(real.sum()), 1)

    def count(self, batch: Batch) -> int:
        """Known numbers."""
        return int((~_targets(batch).isnan()).sum())


class Poisson(ValueLoss):
    """Negative log-likelihood of counts with the predicted number as rate.

    It needs head transform ``log``: on other scales a network starts with rates below zero, which have no gradient.
    """

    on_scale = False

    def __call__(self, output: Output, batch: Batch) -> Tensor:
        """Scalar loss; see :class:`ValueLoss`. Raises SettingsError on another scale than ``log``."""
        if MEMBERS in output.extras and "offset" not in output.extras:
            raise SettingsError("loss expression.poisson needs rates above zero: set head.transform to log")
        return super().__call__(output, batch)

    def fit(self, batch: Batch) -> None:
        """Refuse negative training targets; raises DataError."""
        if bool((_targets(batch) < 0).any()):
            raise DataError(
                "loss expression.poisson is for counts, and a training target is negative; use expression.mse"
            )

    def penalty(self, predicted: Tensor, wanted: Tensor, log_variance: Tensor | None) -> Tensor:
        """Loss of each number ``(K,)``."""
        return F.poisson_nll_loss(predicted.clamp(min=SLOWEST), wanted, log_input=False, reduction="none")


def _targets(batch: Batch) -> Tensor:
    if batch.targets is None:
        raise ValueError("a loss needs targets, and these records are unlabelled")
    return batch.targets.values
