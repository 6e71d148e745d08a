"""Judged records and predictions of finished runs, read again from their files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labtune.catalog import Catalog
from labtune.data.splits import load_splits
from labtune.errors import RunError
from labtune.folder import RunFolder
from labtune.predictions import prediction_from_json
from labtune.settings import Settings
from labtune.specs import Labels, Prediction, Record


@dataclass(frozen=True)
class Judged:
    """What a run was judged on.

    Parameters
    ----------
    settings, labels, metrics
        Of the run.
    part
        ``test``, or ``valid`` where there was no test data.
    records, predictions
        In the same order; predictions have values, confidence and details, and no probabilities.
    """

    settings: Settings
    labels: Labels
    metrics: dict[str, Any]
    part: str
    records: list[Record]
    predictions: list[Prediction]


def read_judged(run: Path, catalog: Catalog) -> Judged:
    """Read a run's predictions, and their truth from the data files that it names.

    Raises
    ------
    RunError
        If the run is not finished, was not judged, or a data file has changed since.
    """
    folder = RunFolder(run)
    folder.require_complete()
    settings = Settings.from_toml(folder.settings)
    metrics = json.loads(folder.metrics.read_text(encoding="utf-8"))
    part = metrics["judged"]
    if not part:
        raise RunError(f"{run}: the run had no validation or test data, so there is nothing to compare")
    splits = load_splits(catalog.task(settings.task), settings)
    if splits.sha256[part] != metrics["data"][part]["sha256"]:
        raise RunError(f"{splits.files[part]} has changed since {run} was made; bring the old file back")
    found = {prediction.id: prediction for prediction in _read(folder.predictions, splits.labels)}
    records = splits.records[part]
    if found.keys() != {record.id for record in records}:
        raise RunError(f"{folder.predictions}: these are not predictions for the {part} data; the run is damaged")
    return Judged(settings, splits.labels, metrics, part, records, [found[record.id] for record in records])


def _read(path: Path, labels: Labels) -> list[Prediction]:
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return [prediction_from_json(line, labels.kind) for line in lines]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path}: the predictions cannot be read; the run folder is damaged") from error
