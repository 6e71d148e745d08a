"""labtune fine-tunes pre-trained encoders for laboratory tasks.

The public names are imported on first use, so that ``import labtune`` stays light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labtune.deploy.predictor import Predictor, load
    from labtune.hookspecs import hookimpl
    from labtune.pipeline import run
    from labtune.protocols import Batch, Output
    from labtune.ragged import Ragged
    from labtune.specs import Component, Labels, Prediction, Preset, Record, Span, Task

__version__ = "0.1.0"

_HOMES = {
    "Batch": "protocols",
    "Component": "specs",
    "Labels": "specs",
    "Output": "protocols",
    "Prediction": "specs",
    "Predictor": "deploy.predictor",
    "Preset": "specs",
    "Ragged": "ragged",
    "Record": "specs",
    "Skipped": "specs",
    "Span": "specs",
    "Task": "specs",
    "hookimpl": "hookspecs",
    "load": "deploy.predictor",
    "run": "pipeline",
}

__all__ = [
    "Batch",
    "Component",
    "Labels",
    "Output",
    "Prediction",
    "Predictor",
    "Preset",
    "Ragged",
    "Record",
    "Skipped",
    "Span",
    "Task",
    "hookimpl",
    "load",
    "run",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'labtune' has no attribute {name!r}")
    return getattr(import_module(f"labtune.{_HOMES[name]}"), name)
