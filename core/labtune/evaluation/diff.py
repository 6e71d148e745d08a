"""``labtune diff``: two finished runs on the same test records."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from labtune.catalog import Catalog, load_catalog
from labtune.errors import RunError
from labtune.evaluation.paired import Difference, compare, disagreements
from labtune.evaluation.rereading import Judged, read_judged

LEVEL = 0.05
TOLERANCE = 1e-6  # of a score that is computed again


def diff_runs(first: Path, second: Path, *, catalog: Catalog | None = None, seed: int = 0) -> dict[str, Any]:
    """Compare two runs.

    Parameters
    ----------
    first, second
        Folders of finished runs of one task, judged on the same records.
    catalog
        What is installed, when it was loaded before.
    seed
        Of the bootstrap and the permutations.

    Returns
    -------
    dict
        ``verdict`` in words; ``scores``: for each the fields of :class:`labtune.evaluation.paired.Difference`, where
        the written predictions give what the runs report; ``differ``: ids by who is right; ``records``, ``part``,
        ``monitor``.

    Raises
    ------
    RunError
        If the runs cannot be compared, with the reason.
    """
    known = catalog or load_catalog()
    one, other = read_judged(first, known), read_judged(second, known)
    _check(first, second, one, other)
    order = {prediction.id: prediction for prediction in other.predictions}
    predictions = [order[record.id] for record in one.records]
    task = known.task(one.settings.task)
    metrics = [known.build("metrics", name, one.labels) for name in task.metrics]
    scores: dict[str, Difference] = {}
    for metric in metrics:
        scores |= compare(metric, one.predictions, predictions, one.records, seed=seed)
    monitor = metrics[0].monitor
    scores = {name: found for name, found in scores.items() if _repeats(found, name, one, other)}
    if monitor.removeprefix("-") not in scores:
        raise RunError(
            f"{first} and {second} cannot be compared: predictions.jsonl give another {monitor.removeprefix('-')} "
            f"than their metrics.json; the files were changed, or the metric needs more than predictions tell"
        )
    return {
        "task": task.name,
        "first": str(first),
        "second": str(second),
        "part": one.part,
        "records": len(one.records),
        "monitor": monitor,
        "verdict": verdict(scores[monitor.removeprefix("-")], monitor, len(one.records)),
        "scores": {name: asdict(difference) for name, difference in scores.items()},
        "differ": disagreements(one.predictions, predictions, one.records, one.labels.kind),
    }


def verdict(difference: Difference, monitor: str, records: int) -> str:
    """Say which run is better, by how much and how sure."""
    name, smaller = monitor.removeprefix("-"), monitor.startswith("-")
    numbers = (
        f"{name} {difference.first:.4f} and {difference.second:.4f} on {records:,} records; difference "
        f"{difference.difference:+.4f}, 95% interval {difference.low:+.4f} to {difference.high:+.4f}, "
        f"p = {difference.p:.3g}"
    )
    beyond = difference.low > 0 or difference.high < 0
    if not (beyond and difference.p is not None and difference.p < LEVEL):
        return f"No run is shown to be better: {numbers}."
    better = "second" if (difference.difference > 0) != smaller else "first"
    return f"The {better} run is better: {numbers}."


def _repeats(found: Difference, name: str, one: Judged, other: Judged) -> bool:
    """Whether the written predictions give the score that each run reports; a metric may need more than is written."""
    told = [some.metrics[some.part].get(name, {}).get("value") for some in (one, other)]
    reported = [math.nan if value is None else value for value in told]  # JSON has no NaN
    return bool(np.allclose([found.first, found.second], reported, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True))


def _check(first: Path, second: Path, one: Judged, other: Judged) -> None:
    for name, a, b in (
        ("tasks", one.settings.task, other.settings.task),
        ("judged parts", one.part, other.part),
        ("labels", sorted(one.labels.names), sorted(other.labels.names)),
    ):
        if a != b:
            raise RunError(f"{first} and {second} cannot be compared: their {name} differ, {a} and {b}")
    truths = [{record.id: record.target for record in some.records} for some in (one, other)]
    if truths[0].keys() != truths[1].keys():
        shared = len(truths[0].keys() & truths[1].keys())
        raise RunError(
            f"{first} and {second} were judged on different records ({shared} of {len(truths[0])} and "
            f"{len(truths[1])} are shared): run one again with the same --test file, or with --split ids:RUN/split.json"
        )
    hashes = [some.metrics["data"][some.part]["sha256"] for some in (one, other)]
    if hashes[0] != hashes[1]:
        raise RunError(f"{first} and {second} were judged on different files, though their records have equal ids")
