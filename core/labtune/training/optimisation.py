"""Optimiser, weight decay, and the course of the learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from labtune.encoder.extras import require
from labtune.encoder.methods.rates import Course
from labtune.settings import Settings


def build_optimizer(
    parameters: Mapping[str, nn.Parameter], settings: Settings, rates: Mapping[str, Course]
) -> torch.optim.Optimizer:
    """Build the optimiser over parameters that learn.

    Weight decay spares vectors: biases and the gains of norms, which it would only pull off their scale.

    Parameters
    ----------
    parameters
        By name.
    settings
        Optimiser, momentum, weight decay.
    rates
        How fast each of them learns.

    Raises
    ------
    SettingsError
        If the optimiser needs a package that is not installed.
    """
    groups: dict[tuple[Course, float], list[nn.Parameter]] = {}
    for name, parameter in parameters.items():
        decay = settings.weight_decay if parameter.dim() > 1 else 0.0
        groups.setdefault((rates[name], decay), []).append(parameter)
    described: list[dict[str, Any]] = [
        {"params": members, "lr": rate.peak, "initial_lr": rate.peak, "start": rate.start, "weight_decay": decay}
        for (rate, decay), members in groups.items()
    ]
    if settings.optimizer == "adamw8bit":
        bitsandbytes = require("bitsandbytes", "quant", "optimizer 'adamw8bit'")
        optimizer: torch.optim.Optimizer = bitsandbytes.optim.AdamW8bit(described)
        return optimizer
    if settings.optimizer == "sgd":
        return torch.optim.SGD(described, momentum=settings.momentum, fused=True)
    return torch.optim.AdamW(described, fused=True)


def rate_factor(settings: Settings, total: int) -> Callable[[int], float]:
    """Return the learning rate's factor as a function of the step, from 0 to ``total - 1``.

    It rises linearly through the warm-up (a share of all steps, or a number of steps from 1 on), then falls along a
    line or half a cosine towards zero, or stays. A function of the step alone needs nothing saved to resume.
    """
    warmup = round(settings.warmup * total) if settings.warmup < 1 else round(settings.warmup)
    remaining = max(total - warmup, 1)

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        progress = min((step - warmup) / remaining, 1.0)
        if settings.schedule == "linear":
            return 1.0 - progress
        if settings.schedule == "cosine":
            return 0.5 * (1.0 + math.cos(math.pi * progress))
        return 1.0

    return factor


def set_rates(optimizer: torch.optim.Optimizer, factor: float, epoch: int) -> float:
    """Scale every group's learning rate, with 0 before the epoch in which it starts; return the highest."""
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * factor if epoch >= group["start"] else 0.0
    return float(max(group["lr"] for group in optimizer.param_groups))


def drop_idle_gradients(optimizer: torch.optim.Optimizer) -> None:
    """Forget the gradients of groups at rate 0, so that neither clipping nor the optimiser's averages count them."""
    for group in optimizer.param_groups:
        for parameter in group["params"] if group["lr"] == 0 else ():
            parameter.grad = None
