"""How often intervals hold the true score, how often tests cry wolf, by simulation.

Test sets are drawn from a known model of 3 classes again and again; the truth is its score on two million records. With
groups, the records of one group (ten on average) share what makes them hard. The share of intervals that hold the truth
should be 0.95; of paired tests between equally good models 0.05 should find a difference.

    python benchmarks/evaluation/intervals.py
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import common
import numpy as np

from labtune.builtin.metrics import Classification
from labtune.evaluation.intervals import bootstrap
from labtune.evaluation.paired import permutation_test
from labtune.specs import Labels, Prediction, Record

NAMES = ("a", "b", "c")
SHARES = (0.6, 0.3, 0.1)
SIZES = (50, 200, 1000)
SCORES = ("accuracy", "macro_f1")


def main() -> None:
    """Simulate, print a line a case, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=600)
    repeats = parser.parse_args().repeats
    done = kept(repeats)
    for grouped in (False, True):
        for size in SIZES:
            if not any((one["size"], one["grouped"]) == (size, grouped) for one in done):
                done.append(case(size, grouped, repeats))
                content = {"command": "benchmarks/evaluation/intervals.py", "repeats": repeats, "cases": done}
                common.write("intervals", content)


def kept(repeats: int) -> list[dict[str, Any]]:
    """Cases that were simulated before, so that a stopped simulation goes on."""
    path = common.RESULTS / "intervals.json"
    content = json.loads(path.read_text()) if path.exists() else {"repeats": 0}
    return list(content["cases"]) if content["repeats"] == repeats else []


def case(size: int, grouped: bool, repeats: int) -> dict[str, Any]:
    """Draw many test sets of one size."""
    generator = np.random.default_rng([size, grouped])
    metric = Classification(Labels(kind="classes", names=NAMES))
    truth = true_scores(grouped, generator)
    held = dict.fromkeys(SCORES, 0)
    alarms = 0
    for repeat in range(repeats):
        records, first, second = draw(size, grouped, generator)
        found = bootstrap(metric, first, records, resamples=500, seed=repeat)
        for name in SCORES:
            held[name] += found[name].low <= truth[name] <= found[name].high
        alarms += permutation_test(metric, first, second, records, permutations=199, seed=repeat) < 0.05
    shares = {name: count / repeats for name, count in held.items()}
    result = {"size": size, "grouped": grouped, "coverage": shares, "false_alarms": alarms / repeats}
    print(result)
    return result


def draw(
    size: int, grouped: bool, generator: np.random.Generator
) -> tuple[list[Record], list[Prediction], list[Prediction]]:
    """Records with the predictions of two models that are equally good."""
    truth, groups, guesses = simulate(size, grouped, generator)
    records = [
        Record(str(i), "", NAMES[label], f"g{g}" if grouped else None)
        for i, (label, g) in enumerate(zip(truth, groups, strict=True))
    ]
    return records, *([Prediction(str(i), NAMES[guess]) for i, guess in enumerate(guess_of)] for guess_of in guesses)


def simulate(size: int, grouped: bool, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Classes ``(R,)``, groups ``(R,)`` and the guesses of two models ``(2, R)``, right in three of four cases."""
    groups = generator.integers(max(size // 10, 2), size=size)
    hard = generator.normal(size=groups.max() + 1)[groups] if grouped else generator.normal(size=size)
    truth = generator.choice(3, size=size, p=SHARES)
    right = generator.random((2, size)) < 1 / (1 + np.exp(-1.3 + hard - 0.4 * (truth == 0)))
    return truth, groups, np.where(right, truth, (truth + generator.integers(1, 3, size=(2, size))) % 3)


def true_scores(grouped: bool, generator: np.random.Generator, size: int = 2_000_000) -> dict[str, float]:
    """Accuracy and macro F1 of the model on very many records, counted apart from labtune's metrics."""
    truth, _, guesses = simulate(size, grouped, generator)
    guess = guesses[0]
    scores = []
    for label in range(3):
        hits = ((truth == label) & (guess == label)).sum()
        scores.append(2 * hits / ((truth == label).sum() + (guess == label).sum()))
    return {"accuracy": float((truth == guess).mean()), "macro_f1": float(np.mean(scores))}


if __name__ == "__main__":
    main()
