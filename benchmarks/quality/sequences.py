"""Numbers from sequences, beside ridge regression on 3-mers to 6-mers of the same split.

Settings were chosen on validation data (``--tune``, which scores validation data only); the test data are scored once
for each seed, which also chooses the split. Files of other origin are predicted by the model, and by the ridge
regression, of the same training data. Every run is written when it is done, and one that was stopped goes on.

    python benchmarks/quality/sequences.py yeast yeast_motifs plant_leaf utr3 --seeds 11 12 13
    python benchmarks/quality/sequences.py yeast --seeds 11 --tune epochs=20
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import common

from labtune.catalog import load_catalog, resolve
from labtune.data.dataset import load_records
from labtune.data.splits import load_splits
from labtune.deploy.predictor import load
from labtune.evaluation.scoring import score
from labtune.pipeline import run_settings
from labtune.settings import Settings, resolve_settings

TASK = "expression.promoter"
SCORE = "pearson"
COMMAND = "python benchmarks/quality/sequences.py CASE --seeds 11 12 13"
NAME = "sequences"


@dataclass(frozen=True)
class Case:
    """One data set: its file, settings, and files of other origin that the model is carried over to."""

    train: str
    settings: dict[str, Any] = field(default_factory=dict)
    carried: tuple[str, ...] = ()


TENTHS = {"fractions": [0.8, 0.1, 0.1], "audit": "quick"}
MOTIFS = {"known_motifs": "JASPAR2026/fungi", "motifs": 256, "motif_length": 17}
SLIM = {"motifs": 96, "motif_length": 9, "bin_size": 5, "blocks": 2, "expansion": 2}  # for many long records
YEAST = "bio/yeast_promoters"
CASES = {
    "yeast": Case(f"{YEAST}/random_complex.csv", {**TENTHS, "preset": "conv"}, (f"{YEAST}/drift_complex.csv",)),
    "yeast_motifs": Case(
        f"{YEAST}/random_complex.csv",
        {**TENTHS, "preset": "conv", "encoder_options": MOTIFS},
        (f"{YEAST}/drift_complex.csv",),
    ),
    "plant_leaf": Case(
        "bio/plant_promoters/leaf.tsv",
        {**TENTHS, "preset": "forward", "split": "group", "reader": {"target": "enrichment", "group": "gene"}},
    ),
    "utr3": Case(
        "bio/utr3_stability/siegel_3utr_mpra.csv.gz",
        {
            **TENTHS,
            "preset": "forward",
            "epochs": 6,
            "encoder_options": SLIM,
            "split": "group",
            "reader": {"target": ["stability_jurkat", "stability_beas2b"], "group": "cluster"},
        },
    ),
}


def main() -> None:
    """Measure, print a line a run, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="+", choices=CASES)
    parser.add_argument("--seeds", type=int, nargs="+", default=[11, 12, 13])
    parser.add_argument("--tune", nargs="*", metavar="KEY=VALUE", help="score these settings on validation data only")
    parser.add_argument("--runs", type=Path, default=Path(tempfile.gettempdir()) / "labtune-sequences")
    arguments = parser.parse_args()
    for name in arguments.cases:
        for seed in arguments.seeds:
            found = measure(name, seed, arguments.tune, arguments.runs)
            print(*(arguments.tune or []), json.dumps(found), flush=True)
            if arguments.tune is None:
                keep(found)


def measure(name: str, seed: int, tuned: list[str] | None, runs: Path) -> dict[str, Any]:
    """Run one case with one seed, or go on with it."""
    case, catalog = CASES[name], load_catalog()
    given = {**case.settings, "data": {"train": str(common.data(case.train))}, "seed": seed}
    settings = resolve_settings(catalog, TASK, given, tuned or [])
    part = "test" if tuned is None else "valid"
    out = runs / f"{name}-{seed}-{hashlib.sha256(settings.to_toml().encode()).hexdigest()[:8]}"
    metrics = run_settings(settings, out, catalog=catalog, resume=out.exists()).metrics
    found = {"case": name, "seed": seed, "score": SCORE, "split": metrics["split"]}
    found |= {"value": metrics[part][SCORE], "valid": metrics["valid"][SCORE]}
    found |= {key: metrics["train"][key] for key in ("seconds", "epochs")}
    found["records_per_second"] = metrics["predict"]["records_per_second"]
    if tuned is None:
        found["baseline"] = metrics["baseline"][SCORE]
        for path in case.carried:
            found["carried"] = carry(settings, out, common.data(path))
    return found


def carry(settings: Settings, out: Path, file: Path) -> dict[str, Any]:
    """Score a file of other origin by the model, and by the task's baseline on the same training data."""
    predictor = load(out)
    task, metrics = predictor.parts.task, predictor.parts.metrics
    records = load_records(task, file, labelled=True, options=settings.reader)
    splits = load_splits(task, settings)
    baseline = resolve(task.baseline)(splits.records["train"], splits.labels)
    sides = {"value": predictor.predict(records), "baseline": baseline(records)}
    return {
        "file": file.stem,
        **{side: score(metrics, made, records, seed=settings.seed)[SCORE] for side, made in sides.items()},
    }


def keep(found: dict[str, Any]) -> None:
    """Write one more run, in place of an earlier one of the same case and seed."""
    path = common.RESULTS / f"{NAME}.json"
    runs = json.loads(path.read_text())["runs"] if path.exists() else []
    others = [run for run in runs if (run["case"], run["seed"]) != (found["case"], found["seed"])]
    runs = sorted([*others, found], key=lambda run: (list(CASES).index(run["case"]), run["seed"]))
    common.write(NAME, {"command": COMMAND, "runs": runs})


if __name__ == "__main__":
    main()
