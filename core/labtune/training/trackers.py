"""Telling another program the course of a training, as it happens: TensorBoard, Weights & Biases or MLflow.

accelerate knows how to talk to them; what is told is what ``log.jsonl`` holds of steps and epochs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accelerate.tracking import LOGGER_TYPE_TO_CLASS

from labtune.encoder.extras import require

PROJECT = "labtune"  # Weights & Biases' project, MLflow's experiment


class Tracker:
    """Passes numbers on.

    Parameters
    ----------
    kind
        ``tensorboard``, ``wandb`` or ``mlflow``, as in the settings.
    folder
        The run folder. TensorBoard's files go there, and the run is called after it.
    step
        Steps that are done; what TensorBoard was told of later ones, before an interruption, is taken back.

    Raises
    ------
    SettingsError
        If the package is not installed.
    """

    def __init__(self, kind: str, folder: Path, step: int = 0) -> None:
        require(kind, kind, f"tracker {kind!r}")
        options: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
            "tensorboard": (("tensorboard", str(folder)), {"purge_step": step + 1}),
            "wandb": ((PROJECT,), {"name": folder.name, "dir": str(folder)}),
            "mlflow": ((PROJECT,), {"run_name": folder.name}),
        }
        words, named = options[kind]
        self.tracker: Any = LOGGER_TYPE_TO_CLASS[kind](*words, **named)
        self.tracker.start()

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Tell numbers, those that are finite, by name."""
        self.tracker.log({name: value for name, value in values.items() if math.isfinite(value)}, step=step)

    def close(self) -> None:
        """Say that the training is over."""
        self.tracker.finish()


def open_tracker(kind: str, folder: Path, step: int = 0) -> Tracker | None:
    """Return what the settings choose; None for ``none``."""
    return None if kind == "none" else Tracker(kind, folder, step)
