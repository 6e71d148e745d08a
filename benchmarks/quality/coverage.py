"""What promised coverage comes to on real records, and what the temperature does for confidence.

A run is trained on part of the data. The rest is dealt to calibration and test many times; each time thresholds and
temperature are learned on the one and measured on the other. MiniLM is frozen, so that this takes minutes.

    python benchmarks/quality/coverage.py phrasebank --seeds 0 1 2
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import common
import numpy as np
from scipy.optimize import minimize_scalar

from labtune.catalog import load_catalog
from labtune.data.splits import load_splits
from labtune.deploy.predictor import load
from labtune.evaluation.conformal import calibrate, mark, realised
from labtune.evaluation.reliability import calibration_scores, decisions
from labtune.pipeline import run_settings
from labtune.settings import resolve_settings
from labtune.specs import Labels, Prediction, Record

TASKS = {"phrasebank": ("finance.sentiment", "text/financial_phrasebank/Sentences_50Agree.txt")}
LEVELS = (0.8, 0.9, 0.95)
DEALS = 100


def main() -> None:
    """Measure, print a line a seed, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    runs = [measure(arguments.task, seed) for seed in arguments.seeds]
    content = {"task": arguments.task, "command": " ".join(sys.argv), "deals": DEALS, "runs": runs}
    print("written:", common.write(f"coverage-{arguments.task}", content))


def measure(name: str, seed: int) -> dict[str, Any]:
    """Train once, then deal the held-out records many times."""
    task, file = TASKS[name]
    catalog = load_catalog()
    flags = {"seed": seed, "data": {"train": str(common.data(file))}, "method": "head", "epochs": 10, "audit": "off"}
    flags |= {"batch_size": 64, "fractions": (0.4, 0.3, 0.3)}
    settings = resolve_settings(catalog, task, flags)
    with tempfile.TemporaryDirectory() as folder:
        run_settings(settings, Path(folder) / "run", catalog=catalog)
        predictor = load(Path(folder) / "run", catalog=catalog)
    splits = load_splits(catalog.task(task), settings)
    records = splits.records["valid"] + splits.records["test"]
    temperature = predictor.confidence.calibration.temperature.value
    logits = temperature * np.log([prediction.probabilities for prediction in predictor.predict(records)])  # (R, L)
    generator = np.random.default_rng(seed)
    dealt = [deal(logits, records, splits.labels, generator.permutation(len(records))) for _ in range(DEALS)]
    found = {key: common.spread([one[key] for one in dealt]) for key in dealt[0]}
    found |= {"seed": seed, "held_out": len(records), "split": splits.fingerprint}
    print({key: round(value["mean"], 4) if isinstance(value, dict) else value for key, value in found.items()})
    return found


def deal(logits: np.ndarray, records: list[Record], labels: Labels, order: np.ndarray) -> dict[str, float]:
    """Calibrate on one half and measure on the other."""
    half = len(order) // 2
    known, asked = order[:half], order[half:]
    truth = np.array([labels.names.index(record.target) for record in records])
    temperature = best_temperature(logits[known], truth[known])
    found = {"temperature": temperature}
    for name, value in (("before", 1.0), ("after", temperature)):
        predictions = decoded(logits[asked], [records[row] for row in asked], labels, value)
        found[f"ece_{name}"] = calibration_scores(decisions(predictions, [records[r] for r in asked], labels))["ece"]
    sides = [
        (decoded(logits[rows], [records[r] for r in rows], labels, temperature), [records[r] for r in rows])
        for rows in (known, asked)
    ]
    conformal = calibrate(*sides[0], labels)
    for level in LEVELS:
        marked = mark(sides[1][0], conformal, labels, level)
        measured = realised(marked, sides[1][1], labels, conformal, level)
        found[f"coverage_{level}"] = measured["realised"]["value"]
        found[f"set_size_{level}"] = measured["mean_set_size"]
        found[f"answered_{level}"] = measured["answered"]
        found[f"accuracy_answered_{level}"] = answered_accuracy(marked, sides[1][1])
    return found


def best_temperature(logits: np.ndarray, truth: np.ndarray) -> float:
    """Temperature of the smallest negative log-likelihood."""

    def loss(logarithm: float) -> float:
        scaled = logits / np.exp(logarithm)
        return float((np.logaddexp.reduce(scaled, axis=-1) - scaled[np.arange(len(truth)), truth]).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded").x))


def decoded(logits: np.ndarray, records: list[Record], labels: Labels, temperature: float) -> list[Prediction]:
    """Predictions at a temperature."""
    scaled = logits / temperature
    chances = np.exp(scaled - np.logaddexp.reduce(scaled, axis=-1, keepdims=True))
    return [
        Prediction(record.id, labels.names[row.argmax()], float(row.max()), row)
        for record, row in zip(records, chances, strict=True)
    ]


def answered_accuracy(marked: list[Prediction], records: list[Record]) -> float:
    """Share of the answered records that are right."""
    answers = [one.value == r.target for one, r in zip(marked, records, strict=True) if not one.details["abstained"]]
    return sum(answers) / max(len(answers), 1)


if __name__ == "__main__":
    main()
