"""Predictions and truth to the scores of ``metrics.json``."""

from __future__ import annotations

import math
from collections.abc import Sequence

from labtune.errors import SettingsError
from labtune.evaluation.intervals import bootstrap
from labtune.protocols import Metric
from labtune.specs import Prediction, Record


def score(
    metrics: Sequence[Metric],
    predictions: Sequence[Prediction],
    records: Sequence[Record],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, dict[str, float | None]]:
    """Score predictions with every metric.

    Parameters
    ----------
    metrics
        Of which no two give a score of the same name.
    predictions, records
        One of each, in the same order.
    resamples, seed
        Of the bootstrap.

    Returns
    -------
    dict
        ``{score: {"value", "low", "high"}}`` with 95 % intervals; None where undefined, as JSON has no NaN.

    Raises
    ------
    ValueError
        If the predictions are not those of the records.
    SettingsError
        If two metrics give a score of the same name.
    """
    if [prediction.id for prediction in predictions] != [record.id for record in records]:
        raise ValueError("the predictions are not those of the records, in their order")
    found: dict[str, dict[str, float | None]] = {}
    for metric in metrics:
        for name, interval in bootstrap(metric, predictions, records, resamples=resamples, seed=seed).items():
            if name in found:
                raise SettingsError(
                    f"two metrics give the score {name!r}; remove {type(metric).__name__} from the task"
                )
            found[name] = {end: _number(number) for end, number in interval._asdict().items()}
    return found


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
