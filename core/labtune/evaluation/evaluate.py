"""A trained model on validation and test data: predictions, scores beside the baseline, sections of the report."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import torch

from labtune.catalog import resolve
from labtune.evaluation.baselines import baseline_name, fit_baseline
from labtune.evaluation.calibration import Calibration, fit_calibration
from labtune.evaluation.confidence import Confidence, coverage_sections
from labtune.evaluation.conformal import LEVELS, calibrate, realised
from labtune.evaluation.reliability import calibration_scores, calibration_sections, decisions
from labtune.evaluation.scoring import score
from labtune.evaluation.sections import Section
from labtune.evaluation.slices import score_slices, slice_sections, slices_json, slicings
from labtune.evaluation.views import default_views
from labtune.inference import predict
from labtune.parts import Parts
from labtune.processes import from_first
from labtune.protocols import Batch
from labtune.settings import Settings
from labtune.specs import Labels, Prediction, Record

Scores = dict[str, dict[str, float | None]]
JUDGED = ("valid", "test")


@dataclass
class Evaluation:
    """Scores by part, and what the report shows of the part that was judged last (test, else validation)."""

    scores: dict[str, Scores] = field(default_factory=dict)
    baseline: Scores = field(default_factory=dict)
    baseline_name: str = ""
    judged: str = ""
    predictions: list[Prediction] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
    speed: dict[str, float] = field(default_factory=dict)
    confidence: Confidence = field(default_factory=Confidence)
    calibration: dict[str, Any] = field(default_factory=dict)
    slices: dict[str, Any] = field(default_factory=dict)
    conformal: dict[str, Any] = field(default_factory=dict)


class PredictedPart(NamedTuple):
    """Predictions for one part of the data, and how long they took."""

    predictions: list[Prediction]
    seconds: float


@dataclass(frozen=True)
class Predicted:
    """Predictions by part, and the calibration with which they were made."""

    parts: Mapping[str, PredictedPart]
    calibration: Calibration


def predict_parts(
    model: torch.nn.Module, tokenised: Mapping[str, Batch], *, batch_tokens: int, device: torch.device | str, seed: int
) -> Predicted:
    """Calibrate, then predict validation and test data, those that there are; every process of a run must call it."""
    where: dict[str, Any] = {"batch_tokens": batch_tokens, "device": device}
    calibration = Calibration()
    if "valid" in tokenised:
        calibration = from_first(lambda: fit_calibration(model, tokenised["valid"], seed=seed, **where))
    predicted = {}
    for part in JUDGED:
        if part in tokenised:
            began = time.perf_counter()
            predictions = predict(model, tokenised[part], adjust=calibration, **where)
            predicted[part] = PredictedPart(predictions, time.perf_counter() - began)
    return Predicted(predicted, calibration)


def evaluate(
    parts: Parts,
    predicted: Predicted,
    records: Mapping[str, Sequence[Record]],
    settings: Settings,
) -> Evaluation:
    """Score validation and test data; on the last of them also the task's baseline, slices and confidence."""
    found, seed = Evaluation(), settings.seed
    for part, (predictions, seconds) in predicted.parts.items():
        found.predictions = predictions
        found.speed = {"seconds": seconds, "records_per_second": len(predictions) / max(seconds, 1e-9)}
        found.scores[part] = score(parts.metrics, predictions, records[part], seed=seed)
        found.judged = part
    if found.judged:
        judged = records[found.judged]
        found.baseline = score_baseline(parts, records["train"], judged, seed)
        found.baseline_name = baseline_name(parts.task, parts.labels)
        found.sections = build_sections(parts, found.predictions, judged)
        _judge_slices(found, parts, judged, records["train"], settings)
        _judge_confidence(found, predicted, records, parts.labels, settings.coverage, seed)
    return found


def score_baseline(parts: Parts, train: Sequence[Record], judged: Sequence[Record], seed: int = 0) -> Scores:
    """Fit the task's baseline on training records and score it on others."""
    simple = fit_baseline(parts.task, train, parts.labels)
    return score(parts.metrics, simple(judged), judged, seed=seed)


def _judge_slices(
    found: Evaluation, parts: Parts, judged: Sequence[Record], train: Sequence[Record], settings: Settings
) -> None:
    """Score the slices of the judged data."""
    named = slicings(parts.task, settings.slices, judged, train)
    sliced = score_slices(parts.metrics[0], found.predictions, judged, named, seed=settings.seed)
    found.slices = slices_json(sliced)
    found.sections += slice_sections(sliced, found.scores[found.judged])


def _judge_confidence(
    found: Evaluation,
    predicted: Predicted,
    records: Mapping[str, Sequence[Record]],
    labels: Labels,
    coverage: float,
    seed: int,
) -> None:
    """Calibrate on validation data; measure confidence and coverage on the judged data, and mark its predictions."""
    judged, calibration = records[found.judged], predicted.calibration
    decided = decisions(found.predictions, judged, labels)
    found.calibration = {
        "method": calibration.method,
        "temperature": calibration.temperature.value,
        "fitted": asdict(calibration.temperature),
        "losses": dict(calibration.losses),
        **calibration_scores(decided),
    }
    found.sections += calibration_sections(decided, calibration.words)
    valid = predicted.parts.get("valid")
    conformal = valid and calibrate(valid.predictions, records["valid"], labels, coverage or LEVELS[-1])
    found.confidence = Confidence(calibration, conformal or None)
    if conformal and coverage:
        found.predictions = found.confidence.mark(found.predictions, labels, coverage)
        if found.judged == "test":  # on validation data it holds by construction
            found.conformal = realised(found.predictions, judged, labels, conformal, coverage, seed=seed)
            found.sections += coverage_sections(found.conformal)


def build_sections(parts: Parts, predictions: Sequence[Prediction], records: Sequence[Record]) -> list[Section]:
    """Sections of the task's own views, or the general ones where it has none."""
    views: list[Any] = [resolve(target) for target in parts.task.views] or [default_views]
    return [section for view in views for section in view(predictions, records, parts.labels)]
