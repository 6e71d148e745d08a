"""Transforms of number targets: learned from training data, kept in the head's buffers, undone in predictions.

A transform is described by tensors alone: ``center`` and ``spread`` of the result, and before them either nothing, a
logarithm (``offset`` is there) or ranks (``knots`` are there). Each is a rising function without a flat part, so that
what a network computes on the transformed scale can be carried to the scale of the targets and back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from labtune.errors import DataError, SettingsError

Transform = Literal["standardise", "log", "rank"]
Scale = Mapping[str, Tensor]
KNOTS = 257  # quantiles that stand for the distribution of the training targets
STEEPEST = 1e-5  # smallest distance of neighbouring knots, as a share of their range: many targets may be equal


class TargetTransform(nn.Module):
    """Brings targets to mean zero and deviation one, directly or after a logarithm or their ranks.

    Parameters
    ----------
    outputs
        L, numbers a record.
    transform
        ``standardise``; ``log``, of one plus a number that is not negative; ``rank``, the share of training targets
        below, with straight lines between 257 quantiles and beyond the ends.
    """

    center: Tensor
    spread: Tensor
    knots: Tensor

    def __init__(self, outputs: int, transform: Transform) -> None:
        super().__init__()
        if transform not in ("standardise", "log", "rank"):
            raise SettingsError(f"head.transform is {transform!r}; use standardise, log or rank")
        self.register_buffer("center", torch.zeros(outputs))
        self.register_buffer("spread", torch.ones(outputs))
        if transform == "log":
            self.register_buffer("offset", torch.ones(outputs))
        if transform == "rank":
            self.register_buffer("knots", torch.linspace(0, 1, KNOTS).repeat(outputs, 1))

    @property
    def scale(self) -> dict[str, Tensor]:
        """The tensors that describe the transform."""
        return dict(self.named_buffers())

    def fit(self, targets: Tensor) -> None:
        """Learn from training targets ``(B, L)``, NaN where there is none.

        Raises
        ------
        DataError
            If ``log`` meets a negative number, or an output has no target at all.
        """
        if bool(targets.isnan().all(0).any()):
            raise DataError("an output has no training target at all; check the target columns")
        if "offset" in self.scale and bool((targets < 0).any()):
            raise DataError("head.transform=log, but a training target is negative; use rank or standardise")
        if "knots" in self.scale:
            self.knots.copy_(_quantiles(targets))
        shaped = _shaped(targets, self.scale)
        self.center.copy_(shaped.nanmean(0))
        deviation = ((shaped - self.center) ** 2).nanmean(0).sqrt()
        self.spread.copy_(torch.where(deviation > 0, deviation, 1.0))


def transformed(targets: Tensor, scale: Scale) -> Tensor:
    """Transform targets ``(…, L)``; NaN stays NaN."""
    return (_shaped(targets, scale) - scale["center"]) / scale["spread"]


def restored(scores: Tensor, scale: Scale) -> Tensor:
    """Undo the transform of scores ``(…, L)``."""
    values = scores * scale["spread"] + scale["center"]
    if "offset" in scale:
        return values.exp() - scale["offset"]
    if "knots" in scale:
        return _columns(values, _levels(scale["knots"]), scale["knots"])
    return values


def _shaped(targets: Tensor, scale: Scale) -> Tensor:
    if "offset" in scale:
        return (targets + scale["offset"]).log()
    if "knots" in scale:
        return _columns(targets, scale["knots"], _levels(scale["knots"]))
    return targets


def _quantiles(targets: Tensor) -> Tensor:
    """Quantiles ``(L, K)`` of each column, moved apart where targets are equal."""
    levels = torch.linspace(0, 1, KNOTS, dtype=torch.double)
    knots = torch.stack([torch.quantile(column[~column.isnan()].double(), levels) for column in targets.T])
    least = (knots[:, -1:] - knots[:, :1]).clamp(min=1e-6) * STEEPEST
    steps = knots.diff(dim=1).maximum(least)
    return torch.cat([knots[:, :1], knots[:, :1] + steps.cumsum(1)], dim=1)


def _levels(knots: Tensor) -> Tensor:
    return torch.linspace(0, 1, knots.shape[1], device=knots.device).expand_as(knots)


def _columns(values: Tensor, places: Tensor, heights: Tensor) -> Tensor:
    return torch.stack([_interpolate(values[..., k], places[k], heights[k]) for k in range(len(places))], -1)


def _interpolate(values: Tensor, places: Tensor, heights: Tensor) -> Tensor:
    """Read off the line through ``(places, heights)``, both rising; outside, its first and last piece go on."""
    right = torch.searchsorted(places.contiguous(), values.detach().contiguous()).clamp(1, len(places) - 1)
    share = (values - places[right - 1]) / (places[right] - places[right - 1])
    return heights[right - 1] + share * (heights[right] - heights[right - 1])
