"""What a training needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from labtune.encoder.methods.rates import Course
from labtune.model import Model
from labtune.protocols import Batch, Loss, Metric
from labtune.settings import Settings


@dataclass(frozen=True)
class Training:
    """Parts that are built, data that is tokenised.

    ``rates`` says how fast each parameter learns; ``valid`` may be None, then the last epoch counts as the best.
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
