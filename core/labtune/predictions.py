"""Predictions as JSON lines."""

from __future__ import annotations

from typing import Any

from labtune.folder import finite
from labtune.specs import Prediction


def prediction_json(prediction: Prediction) -> dict[str, Any]:
    """Return what is written for a prediction: id, value, confidence, and the head's details."""
    content = {"id": prediction.id, "prediction": prediction.value, "confidence": prediction.confidence}
    result: dict[str, Any] = finite({**content, **prediction.details})
    return result
