"""Predictions as JSON lines, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labtune.folder import finite
from labtune.specs import LabelKind, Prediction, Span


def prediction_json(prediction: Prediction) -> dict[str, Any]:
    """Return what is written for a prediction: id, value, confidence, and the head's details."""
    content = {"id": prediction.id, "prediction": prediction.value, "confidence": prediction.confidence}
    result: dict[str, Any] = finite({**content, **prediction.details})
    return result


def prediction_from_json(content: Mapping[str, Any], kind: LabelKind) -> Prediction:
    """Undo :func:`prediction_json`, but for probabilities, which are not written.

    Parameters
    ----------
    content
        What was written.
    kind
        Of the task's labels.

    Raises
    ------
    KeyError, TypeError
        If it is not a prediction.
    """
    details = dict(content)
    name, value, confidence = (details.pop(key) for key in ("id", "prediction", "confidence"))
    return Prediction(name, [Span(*span) for span in value] if kind == "spans" else value, confidence, details=details)
