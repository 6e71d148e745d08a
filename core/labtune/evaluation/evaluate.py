"""A trained model on validation and test data: predictions, scores beside the baseline, sections of the report."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch

from labtune.catalog import Catalog, resolve
from labtune.evaluation.baselines import fit_baseline
from labtune.evaluation.scoring import score
from labtune.evaluation.sections import Section
from labtune.evaluation.views import default_views
from labtune.inference import predict
from labtune.parts import Parts
from labtune.protocols import Batch
from labtune.specs import Prediction, Record

Scores = dict[str, dict[str, float | None]]
JUDGED = ("valid", "test")


@dataclass
class Evaluation:
    """Scores by part, and what the report shows of the part that was judged last (test, else validation)."""

    scores: dict[str, Scores] = field(default_factory=dict)
    baseline: Scores = field(default_factory=dict)
    judged: str = ""
    predictions: list[Prediction] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
    speed: dict[str, float] = field(default_factory=dict)


class Predicted(NamedTuple):
    """Predictions for one part of the data, and how long they took."""

    predictions: list[Prediction]
    seconds: float


def predict_parts(
    model: torch.nn.Module, tokenised: Mapping[str, Batch], *, batch_tokens: int, device: torch.device | str
) -> dict[str, Predicted]:
    """Predict validation and test data, those that there are; every process of a run must call it."""
    predicted = {}
    for part in JUDGED:
        if part in tokenised:
            began = time.perf_counter()
            predictions = predict(model, tokenised[part], batch_tokens=batch_tokens, device=device)
            predicted[part] = Predicted(predictions, time.perf_counter() - began)
    return predicted


def evaluate(
    parts: Parts,
    catalog: Catalog,
    predicted: Mapping[str, Predicted],
    records: Mapping[str, Sequence[Record]],
    *,
    seed: int,
) -> Evaluation:
    """Score validation and test data, and the task's baseline on the last of them."""
    found = Evaluation()
    for part, (predictions, seconds) in predicted.items():
        found.predictions = predictions
        found.speed = {"seconds": seconds, "records_per_second": len(predictions) / max(seconds, 1e-9)}
        found.scores[part] = score(parts.metrics, predictions, records[part], seed=seed)
        found.judged = part
    if found.judged:
        judged = records[found.judged]
        simple = fit_baseline(parts.task, catalog, records["train"], parts.labels)
        found.baseline = score(parts.metrics, simple(judged), judged, seed=seed)
        found.sections = build_sections(parts, found.predictions, judged)
    return found


def build_sections(parts: Parts, predictions: Sequence[Prediction], records: Sequence[Record]) -> list[Section]:
    """Sections of the task's own views, or the general ones where it has none."""
    views: list[Any] = [resolve(target) for target in parts.task.views] or [default_views]
    return [section for view in views for section in view(predictions, records, parts.labels)]
