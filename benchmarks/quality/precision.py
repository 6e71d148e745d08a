"""Whether training in bfloat16 over float32 weights is as good as training in float32.

Both from the same first weights, in the same order of records; the difference on the same test records has a paired
interval.

    python benchmarks/quality/precision.py phrasebank conll2003 secondary_structure --seeds 0 1 2
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import common
from subsets import SUBSETS, Subset

from labtune.catalog import load_catalog
from labtune.evaluation.diff import diff_runs
from labtune.pipeline import run_settings
from labtune.settings import resolve_settings

SIZES = {
    "phrasebank": {"train": 1000, "valid": 200, "test": 600},
    "conll2003": {"train": 3000, "valid": 300, "test": 3000},
    "secondary_structure": {"train": 300, "valid": 50, "test": 300},
}
PRECISIONS = ("float32", "bfloat16")
CHOSEN = {"method": "full", "epochs": 3, "audit": "off", "coverage": 0}


def main() -> None:
    """Measure each data set, and write after every pair of runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", choices=SUBSETS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    for name in arguments.data:
        for seed in arguments.seeds:
            record(name, measure(SUBSETS[name], SIZES[name], seed))


def measure(subset: Subset, sizes: dict[str, int], seed: int) -> dict[str, Any]:
    """Train in both precisions; return scores, difference and seconds."""
    catalog = load_catalog()
    with tempfile.TemporaryDirectory() as folder:
        chosen = {**CHOSEN, **subset.settings, "encoder": subset.encoder, "seed": seed}
        data = subset.write(Path(folder) / "data", sizes)
        runs = []
        for precision in PRECISIONS:
            settings = resolve_settings(catalog, subset.task, {**chosen, "data": data, "precision": precision})
            runs.append(run_settings(settings, Path(folder) / precision, catalog=catalog))
        difference = diff_runs(*(run.folder for run in runs))["scores"][subset.score]
        seconds = [run.metrics["train"]["seconds"] for run in runs]
    return {"seed": seed, "score": subset.score, **difference, "seconds": dict(zip(PRECISIONS, seconds, strict=True))}


def record(name: str, found: dict[str, Any]) -> None:
    """Put a pair of runs among those that were measured before."""
    path = common.RESULTS / "precision.json"
    before = json.loads(path.read_text())["data"] if path.exists() else {}
    print(name, found, flush=True)
    runs = [run for run in before.get(name, []) if run["seed"] != found["seed"]]
    data = {**before, name: sorted([*runs, found], key=lambda run: run["seed"])}
    command = f"python benchmarks/quality/precision.py {' '.join(data)}"
    common.write("precision", {"command": command, "records": SIZES, "settings": CHOSEN, "data": data})


if __name__ == "__main__":
    main()
