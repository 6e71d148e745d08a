"""What promised coverage comes to on real records, and what the temperature does for confidence.

PhraseBank: a run is trained on part of the data. The rest is dealt to calibration and test many times; each time
thresholds and temperature are learned on the one and measured on the other. MiniLM is frozen: this takes minutes.

CoNLL-2003: a run is trained on every fourth training document, calibrated on the published validation data, and
measured on the test data as they are, which are of another time of year; and on test documents dealt many times.

    python benchmarks/quality/coverage.py phrasebank --seeds 0 1 2
    python benchmarks/quality/coverage.py conll2003 --seeds 0 --runs FOLDER
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any, TypeAlias

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import common
import numpy as np
from scipy.optimize import minimize_scalar

from labtune.catalog import load_catalog
from labtune.data.splits import Splits, load_splits
from labtune.deploy.predictor import Predictor, load
from labtune.evaluation.conformal import calibrate, mark, realised
from labtune.evaluation.reliability import calibration_scores, decisions
from labtune.pipeline import run_settings
from labtune.settings import resolve_settings
from labtune.specs import Labels, Prediction, Record

PHRASEBANK = "text/financial_phrasebank/Sentences_50Agree.txt"
CONLL_EPOCHS, CONLL_EVERY = 2, 4  # of the training documents: what is promised holds for any model
CONLL_DEALS = 30
LEVELS = (0.8, 0.9, 0.95, 0.98)
DEALS = 100

Judged: TypeAlias = tuple[list[Record], list[Prediction]]


def main() -> None:
    """Measure, print a line a seed, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=MEASURES)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--runs", type=Path, help="folder that keeps the runs, so that a stopped one goes on")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.runs or Path(temporary)
        runs = [MEASURES[arguments.task](seed, folder / f"{arguments.task}-{seed}") for seed in arguments.seeds]
    command = f"benchmarks/quality/coverage.py {arguments.task} --seeds {' '.join(map(str, arguments.seeds))}"
    content = {"task": arguments.task, "command": command, "deals": DEALS, "runs": runs}
    print("written:", common.write(f"coverage-{arguments.task}", content))


def trained(task: str, flags: dict[str, Any], folder: Path) -> tuple[Predictor, Splits]:
    """Train, or go on, or take what was trained before."""
    catalog = load_catalog()
    settings = resolve_settings(catalog, task, flags)
    run_settings(settings, folder, resume=folder.exists(), catalog=catalog)
    return load(folder, catalog=catalog), load_splits(catalog.task(task), settings)


def phrasebank(seed: int, folder: Path) -> dict[str, Any]:
    """Train once, then deal the held-out records many times."""
    flags = {"seed": seed, "data": {"train": str(common.data(PHRASEBANK))}, "method": "head", "epochs": 10}
    flags |= {"batch_size": 64, "fractions": (0.4, 0.3, 0.3), "audit": "off"}
    predictor, splits = trained("finance.sentiment", flags, folder)
    records = splits.records["valid"] + splits.records["test"]
    temperature = predictor.confidence.calibration.temperature.value
    logits = temperature * np.log([prediction.probabilities for prediction in predictor.predict(records)])  # (R, L)
    generator = np.random.default_rng(seed)
    dealt = [deal(logits, records, splits.labels, generator.permutation(len(records))) for _ in range(DEALS)]
    found = {key: common.spread([one[key] for one in dealt]) for key in dealt[0]}
    found |= {"seed": seed, "held_out": len(records), "split": splits.fingerprint}
    print({key: round(value["mean"], 4) if isinstance(value, dict) else value for key, value in found.items()})
    return found


def conll2003(seed: int, folder: Path) -> dict[str, Any]:
    """Train once; calibrate on validation documents for the test documents, and on halves of the latter."""
    files = {part: str(common.conll2003(folder.parent, part)) for part in ("valid", "test")}
    files["train"] = str(common.conll2003(folder.parent, "train", CONLL_EVERY))
    flags = {"seed": seed, "data": files, "epochs": CONLL_EPOCHS, "audit": "off"}
    predictor, splits = trained("ner.conll2003", flags, folder)
    predictor = predictor.at(0)  # marks are made below
    valid, test = ((splits.records[part], predictor.predict(splits.records[part])) for part in ("valid", "test"))
    documents = sorted({record.group for record in test[0]})
    generator = np.random.default_rng(seed)
    dealt = []
    for _ in range(CONLL_DEALS):
        half = set(generator.permutation(documents)[: len(documents) // 2])
        sides = [
            [row for row, record in enumerate(test[0]) if (record.group in half) == side] for side in (True, False)
        ]
        known, asked = (([test[0][row] for row in rows], [test[1][row] for row in rows]) for rows in sides)
        dealt.append(span_coverage(known, asked, splits.labels))
    decided = calibration_scores(decisions(test[1], test[0], splits.labels))
    found = {
        "as_published": span_coverage(valid, test, splits.labels),
        "test_halves": {key: common.spread([one[key] for one in dealt]) for key in dealt[0]},
        "calibration": {**decided, "temperature": predictor.confidence.calibration.temperature.value},
    }
    found |= {"seed": seed, "documents": {"valid": len({r.group for r in valid[0]}), "test": len(documents)}}
    print(found)
    return found


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


MEASURES = {"phrasebank": phrasebank, "conll2003": conll2003}

if __name__ == "__main__":
    main()
