"""How far promised coverage holds for given predictions, and what is still answered: labels, spans, classes a unit."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from scipy.optimize import minimize_scalar

from labtune.evaluation.conformal import Cases, calibrate, find_cases, find_thresholds, mark, realised
from labtune.evaluation.reliability import calibration_scores, decisions
from labtune.specs import Labels, Prediction, Record

LEVELS = (0.8, 0.9, 0.95, 0.98)

Judged: TypeAlias = tuple[list[Record], list[Prediction]]


def span_coverage(known: Judged, asked: Judged, labels: Labels) -> dict[str, float]:
    """Calibrate on one side, and measure on the other what is covered, and what the answered spans are worth."""
    conformal = calibrate(known[1], known[0], labels)
    truth = {(record.id, tuple(span)) for record in asked[0] for span in record.target}
    found: dict[str, float] = {}
    for level in LEVELS:
        marked = mark(asked[1], conformal, labels, level)
        measured = realised(marked, asked[0], labels, conformal, level)
        answered = {
            (one.id, tuple(span))
            for one in marked
            for span, silent in zip(one.value, one.details["abstained"], strict=True)
            if not silent
        }
        found |= {f"coverage_{level}_{end}": value for end, value in measured["realised"].items()}
        found[f"answered_{level}"] = measured["answered"]
        found[f"precision_answered_{level}"] = len(answered & truth) / max(len(answered), 1)
        found[f"recall_answered_{level}"] = len(answered & truth) / len(truth)
    return found


def unit_coverage(known: Judged, asked: Judged, labels: Labels) -> dict[str, float]:
    """Calibrate on one side; measure on the other what is covered, and what the units that are answered are worth."""
    conformal = calibrate(known[1], known[0], labels)
    found: dict[str, float] = {}
    for level in LEVELS:
        marked = mark(asked[1], conformal, labels, level)
        measured = realised(marked, asked[0], labels, conformal, level)
        found |= {f"coverage_{level}_{end}": value for end, value in measured["realised"].items()}
        found |= {f"answered_{level}": measured["answered"], f"set_size_{level}": measured["mean_set_size"]}
        right = [
            value == truth
            for one, record in zip(marked, asked[0], strict=True)
            for value, truth, silent in zip(one.value, record.target, one.details["abstained"], strict=True)
            if truth is not None and not silent
        ]
        found[f"accuracy_answered_{level}"] = sum(right) / max(len(right), 1)
    return found


def dealt_coverage(
    judged: Judged, labels: Labels, generator: np.random.Generator, deals: int
) -> list[dict[str, float]]:
    """Deal records to calibration and test, and measure the coverage; thresholds and losses are the library's."""
    (cases,) = find_cases(judged[1], judged[0], labels)
    found = []
    for _ in range(deals):
        chosen = np.zeros(cases.owners, dtype=bool)
        chosen[generator.permutation(cases.owners)[: cases.owners // 2]] = True
        thresholds = find_thresholds(_of(cases, chosen), LEVELS)
        losses = [_of(cases, ~chosen).losses(threshold).mean() for threshold in thresholds]
        found.append({f"coverage_{level}": 1 - float(loss) for level, loss in zip(LEVELS, losses, strict=True)})
    return found


def _of(cases: Cases, chosen: np.ndarray) -> Cases:
    """Cases of some owners ``(owners,)``."""
    kept = chosen[cases.owner]
    number = np.cumsum(chosen) - 1
    return Cases(cases.score[kept], number[cases.owner[kept]], cases.weight[kept], int(chosen.sum()))


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
