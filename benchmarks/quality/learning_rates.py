"""Score each method at several learning rates, on validation data of several tasks: where the defaults come from.

Nothing is tested. A run is added to the result as soon as it is there, so that the same command goes on.

    python benchmarks/quality/learning_rates.py
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import common
from subsets import SUBSETS

from labtune.catalog import load_catalog
from labtune.pipeline import run_settings
from labtune.settings import resolve_settings

RATES = {  # rates to try, by method
    "lora": (1e-3, 3e-3, 1e-2),
    "ia3": (3e-2, 1e-1),
    "bitfit": (1e-2, 3e-2),
    "adapter": (3e-3, 1e-2),
    "head": (1e-2, 3e-2, 1e-1),
    "full": (1e-4, 2e-4, 4e-4),
    "prompt": (3e-2, 1e-1),
    "dora": (3e-3, 1e-2),
}
SIZES = {  # records by data set
    "phrasebank": {"train": 240, "valid": 300},
    "conll2003": {"train": 360, "valid": 300},
    "secondary_structure": {"train": 50, "valid": 40},
}
EPOCHS = 4


def main() -> None:
    """Run what is missing, print a line a run, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", choices=SUBSETS, default=list(SUBSETS))
    parser.add_argument("--methods", nargs="+", choices=RATES, default=list(RATES))
    parser.add_argument("--runs", type=int, help="stop after so many")
    arguments = parser.parse_args()
    for method, rate, name in itertools.islice(missing(arguments), arguments.runs):
        record(measure(method, rate, name))


def missing(arguments: argparse.Namespace) -> Iterator[tuple[str, float, str]]:
    """Name every method, rate and data set that was asked for and not measured; one method after the other."""
    for method in arguments.methods:
        for name, rate in itertools.product(arguments.data, RATES[method]):
            if not any((run["method"], run["rate"], run["data"]) == (method, rate, name) for run in measured_before()):
                yield method, rate, name


def measured_before() -> list[dict[str, Any]]:
    """Return the runs that are written."""
    path = common.RESULTS / "learning_rates.json"
    found: list[dict[str, Any]] = json.loads(path.read_text())["runs"] if path.exists() else []
    return found


def measure(method: str, rate: float, name: str) -> dict[str, Any]:
    """Train on a part of the data and score the validation part."""
    subset, catalog = SUBSETS[name], load_catalog()
    with tempfile.TemporaryDirectory() as folder:
        flags: dict[str, Any] = {**subset.settings, "encoder": subset.encoder, "method": method, "epochs": EPOCHS}
        flags |= {"learning_rate": rate, "audit": "off", "coverage": 0}
        flags |= {"data": subset.write(Path(folder) / "data", SIZES[name])}
        settings = resolve_settings(catalog, subset.task, flags)
        metrics = run_settings(settings, out=Path(folder) / "run", catalog=catalog).metrics
    score = metrics["valid"][subset.score]
    print(name, method, rate, score, flush=True)
    return {"data": name, "method": method, "rate": rate, "score": subset.score, **score}


def record(run: dict[str, Any]) -> None:
    """Add a run, and choose each method's best rate over the data sets on which all of its rates were tried."""
    runs = [*measured_before(), run]
    content = {"command": "python benchmarks/quality/learning_rates.py", "split": "validation", "bits": 32}
    content |= {"epochs": EPOCHS, "records": SIZES, "runs": runs, "best": best_rates(runs)}
    common.write("learning_rates", content)


def best_rates(runs: list[dict[str, Any]]) -> dict[str, float]:
    """Choose for each method the rate with the best mean score."""
    found = {}
    for method, rates in RATES.items():
        scores = {
            name: {run["rate"]: run["value"] for run in runs if (run["method"], run["data"]) == (method, name)}
            for name in SIZES
        }
        whole = [rated for rated in scores.values() if all(rate in rated for rate in rates)]
        if whole:
            found[method] = max(rates, key=lambda rate: statistics.fmean(rated[rate] for rated in whole))
    return found


if __name__ == "__main__":
    main()
