"""Expression from sequence and cell types, beside the plugin's linear baselines in the same run.

Settings were chosen on validation data (``--tune``, which scores validation data only); the test data are scored once
for each seed, which also chooses the split.

    python benchmarks/quality/expression.py yeast plant_leaf utr3 bladder celseq2 --seeds 0 1 2
    python benchmarks/quality/expression.py yeast --seeds 0 --tune epochs=20
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import common

from labtune.catalog import load_catalog
from labtune.deploy.predictor import evaluate_file
from labtune.pipeline import run_settings
from labtune.settings import resolve_settings


@dataclass(frozen=True)
class Case:
    """One data set: its task, files, settings, and files of other origin that the model is carried over to."""

    task: str
    score: str
    files: dict[str, str]
    settings: dict[str, Any] = field(default_factory=dict)
    carried: tuple[str, ...] = ()


COMMAND = "python benchmarks/quality/expression.py CASE --seeds 0 1 2"
TENTHS = {"fractions": [0.8, 0.1, 0.1]}
MIXOLOGY = "bio/sc_mixology/sc_celseq2"
CASES = {
    "yeast": Case(
        "expression.promoter",
        "pearson",
        {"train": "bio/yeast_promoters/random_complex.csv"},
        {**TENTHS, "preset": "conv"},
        carried=("bio/yeast_promoters/drift_complex.csv",),
    ),
    "plant_leaf": Case(
        "expression.promoter",
        "pearson",
        {"train": "bio/plant_promoters/leaf.tsv"},
        {
            **TENTHS,
            "preset": "forward",
            "split": "group",
            "reader": {"target": "enrichment", "group": "gene"},
        },
    ),
    "utr3": Case(
        "expression.promoter",
        "pearson",
        {"train": "bio/utr3_stability/siegel_3utr_mpra.csv.gz"},
        {
            **TENTHS,
            "preset": "forward",
            "split": "group",
            "reader": {"target": ["stability_jurkat", "stability_beas2b"], "group": "cluster"},
        },
    ),
    "bladder": Case(
        "expression.cell_type", "accuracy", {"train": "bio/sc_mouse_bladder/mouse_bladder_cell_select_2100.h5ad"}
    ),
    "celseq2": Case(
        "expression.cell_type",
        "accuracy",
        {"train": f"{MIXOLOGY}_5cl_p1.h5ad + {MIXOLOGY}_5cl_p2.h5ad", "test": f"{MIXOLOGY}.h5ad"},
        {"reader": {"target": "cell_line"}},
    ),
}


def main() -> None:
    """Measure, print a line a run, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="+", choices=CASES)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--tune", nargs="*", metavar="KEY=VALUE", help="score these settings on validation data only")
    arguments = parser.parse_args()
    runs = [measure(name, seed, arguments.tune) for name in arguments.cases for seed in arguments.seeds]
    if arguments.tune is None:
        runs = [run for run in measured_before() if run["case"] not in arguments.cases] + runs
        content = {"command": COMMAND, "runs": runs, "summary": summarise(runs)}
        print("written:", common.write("expression", content))


def measured_before() -> list[dict[str, Any]]:
    """Return the runs that are written; a case may be measured on its own."""
    path = common.RESULTS / "expression.json"
    found: list[dict[str, Any]] = json.loads(path.read_text())["runs"] if path.exists() else []
    return found


def measure(name: str, seed: int, tuned: list[str] | None) -> dict[str, Any]:
    """Run one case with one seed."""
    case, catalog = CASES[name], load_catalog()
    data = {part: str(one_file(path)) for part, path in case.files.items()}
    settings = resolve_settings(catalog, case.task, {**case.settings, "data": data, "seed": seed}, tuned or [])
    part = "test" if tuned is None else "valid"
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        metrics = run_settings(settings, out, catalog=catalog).metrics
        found = {"case": name, "seed": seed, "score": case.score, "split": metrics["split"]}
        found |= {"value": metrics[part][case.score], "train_seconds": metrics["train"]["seconds"]}
        found["records_per_second"] = metrics["predict"]["records_per_second"]
        if tuned is None:
            found["baseline"] = metrics["baseline"][case.score]
            found["macro_f1"] = metrics[part].get("macro_f1")
            for path in case.carried:
                found[Path(path).stem] = evaluate_file(out, common.data(path))["scores"][case.score]
    print(*(tuned or []), found, flush=True)
    return found


def one_file(names: str) -> Path:
    """Return a data file; several AnnData files, joined by ``+``, become one with the genes that all have."""
    paths = [common.data(name.strip()) for name in names.split("+")]
    if len(paths) == 1:
        return paths[0]
    import anndata

    joined = anndata.concat([anndata.read_h5ad(path) for path in paths], join="inner", index_unique="-")
    target = Path(tempfile.mkdtemp()) / "joined.h5ad"
    joined.write_h5ad(target)
    return target


def summarise(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Spread over seeds of every score, by case."""
    table: dict[str, Any] = {}
    for name in dict.fromkeys(run["case"] for run in runs):
        own = [run for run in runs if run["case"] == name]
        scores = [key for key, value in own[0].items() if isinstance(value, dict)]
        table[name] = {key: common.spread([run[key]["value"] for run in own]) for key in scores}
        table[name]["train_seconds"] = common.spread([run["train_seconds"] for run in own])
    return table


if __name__ == "__main__":
    main()
