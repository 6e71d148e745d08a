"""What a training needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from labtune.encoder.methods.rates import Course
from labtune.model import Model
from labtune.protocols import Batch, Loss, Metric
from labtune.settings import Settings

Watch: TypeAlias = Callable[[int, float], None]


@dataclass(frozen=True)
class Training:
    """Parts that are built, data that is tokenised.

    ``rates`` says how fast each parameter learns; ``valid`` may be None, then the last epoch counts as the best.
    ``watch`` is told the epochs done and the last one's validation score, larger better; what it raises ends training.
    """

    model: Model
    loss: Loss
    metric: Metric
    train: Batch
    valid: Batch | None
    settings: Settings
    rates: Mapping[str, Course]
    checkpoints: Path
    log: Path
    watch: Watch | None = None
