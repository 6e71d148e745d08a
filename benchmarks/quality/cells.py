"""Cell types and classes of bulk samples, beside L1 logistic regression on the same splits.

Settings were chosen on validation data (``--tune``, which scores validation data only, with seeds of its own); the test
data are scored once for each seed, which also chooses the split. Bulk samples are cross-validated, 10 times 5 folds.

    python benchmarks/quality/cells.py bladder pbmc68k --seeds 41 42 43
    python benchmarks/quality/cells.py golub alon singh --seeds 12 --split cv:5x4
    python benchmarks/quality/cells.py bladder --seeds 0 --tune preset=ranks epochs=10
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
from labtune.crossval import cross_validate
from labtune.pipeline import run_settings
from labtune.settings import Settings, resolve_settings

CELLS, SAMPLES = "expression.cell_type", "expression.sample_class"
COMMAND = "python benchmarks/quality/cells.py CASE --seeds SEED"
SCORES = ("accuracy", "macro_f1", "balanced_accuracy")
MIXOLOGY = "bio/sc_mixology/sc_celseq2"
PLATES = {"reader": {"target": "cell_line"}}


@dataclass(frozen=True)
class Case:
    """One data set: its task, files and settings."""

    task: str
    files: dict[str, str]
    settings: dict[str, Any] = field(default_factory=dict)


def _bulk(name: str) -> Case:
    return Case(SAMPLES, {"train": f"bio/microarray/{name}.csv.gz"}, {"reader": {"target": "label"}})


CASES = {
    "bladder": Case(CELLS, {"train": "bio/sc_mouse_bladder/mouse_bladder_cell_select_2100.h5ad"}),
    "pbmc68k": Case(
        CELLS,
        {"train": "bio/sc_pbmc68k_reduced/10x_pbmc68k_reduced.h5ad"},
        {"reader": {"target": "bulk_labels", "matrix": "raw"}},
    ),
    "pbmc_scvi": Case(CELLS, {"train": "bio/sc_pbmc_scvi/pbmc_200genes.h5ad"}, {"reader": {"unlabelled": "skip"}}),
    "celseq2": Case(
        CELLS, {"train": f"{MIXOLOGY}_5cl_p1.h5ad + {MIXOLOGY}_5cl_p2.h5ad", "test": f"{MIXOLOGY}.h5ad"}, PLATES
    ),
    "plate_1_to_2": Case(CELLS, {"train": f"{MIXOLOGY}_5cl_p1.h5ad", "test": f"{MIXOLOGY}_5cl_p2.h5ad"}, PLATES),
    "plate_2_to_1": Case(CELLS, {"train": f"{MIXOLOGY}_5cl_p2.h5ad", "test": f"{MIXOLOGY}_5cl_p1.h5ad"}, PLATES),
    "golub": _bulk("golub"),
    "alon": _bulk("alon"),
    "singh": _bulk("singh"),
}


def main() -> None:
    """Measure, print a line a run, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="+", choices=CASES)
    parser.add_argument("--seeds", type=int, nargs="+", default=[21, 22, 23])
    parser.add_argument("--tune", nargs="*", metavar="KEY=VALUE", help="score these settings on validation data only")
    parser.add_argument("--preset", default="", help="the task's default if not given")
    parser.add_argument("--split", default="cv:5x10", help="of bulk samples")
    parser.add_argument("--keep", type=Path, help="folder for cross-validations, which go on where they stopped")
    arguments = parser.parse_args()
    for name in arguments.cases:
        bulk = CASES[name].task == SAMPLES and arguments.tune is None
        for seed in arguments.seeds[: 1 if bulk else None]:
            run = validate(name, seed, arguments) if bulk else measure(name, seed, arguments)
            print(*(arguments.tune or []), json.dumps(run), flush=True)
            if arguments.tune is None:
                keep(run)


def measure(name: str, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train and score once."""
    with tempfile.TemporaryDirectory() as folder:
        settings = settings_of(name, seed, arguments, Path(folder))
        metrics = run_settings(settings, Path(folder) / "run", catalog=load_catalog()).metrics
    part = "test" if arguments.tune is None or "test" in CASES[name].files else "valid"
    found = {"case": name, "preset": settings.preset, "seed": seed, "part": part}
    found |= {score: metrics[part][score] for score in SCORES}
    if arguments.tune is None:
        found["baseline"] = {score: metrics["baseline"][score] for score in SCORES}
    return {**found, "train_seconds": metrics["train"]["seconds"], "best_epoch": metrics["best_epoch"]}


def validate(name: str, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Cross-validate."""
    with tempfile.TemporaryDirectory() as folder:
        settings = settings_of(name, seed, arguments, Path(folder))
        out = (arguments.keep or Path(folder)) / name
        _, summary = cross_validate(settings, out, resume=out.exists(), catalog=load_catalog())
    found: dict[str, Any] = {
        "case": name,
        "preset": settings.preset,
        "seed": seed,
        "part": "test",
        "folds": summary["runs"],
    }
    found |= {score: summary["test"][score] for score in SCORES}
    found["baseline"] = {score: summary["baseline"][score] for score in SCORES}
    return {**found, "gain": {score: summary["gain"][score] for score in SCORES}}


def settings_of(name: str, seed: int, arguments: argparse.Namespace, folder: Path) -> Settings:
    """Resolve the settings of a case."""
    case = CASES[name]
    data = {part: str(one_file(path, folder)) for part, path in case.files.items()}
    chosen = {**case.settings, "data": data, "seed": seed, "audit": "off"}
    if case.task == SAMPLES and arguments.tune is None:
        chosen["split"] = arguments.split
    if arguments.preset:
        chosen["preset"] = arguments.preset
    return resolve_settings(load_catalog(), case.task, chosen, arguments.tune or [])


def one_file(names: str, folder: Path) -> Path:
    """Return a data file; several AnnData files, joined by ``+``, become one with the genes that all have."""
    paths = [common.data(name.strip()) for name in names.split("+")]
    if len(paths) == 1:
        return paths[0]
    import anndata

    joined = anndata.concat([anndata.read_h5ad(path) for path in paths], join="inner", index_unique="-")
    joined.write_h5ad(folder / "joined.h5ad")
    return folder / "joined.h5ad"


def keep(run: dict[str, Any]) -> None:
    """Write a run, in place of an earlier one of the same case, preset and seed."""
    path = common.RESULTS / "cells.json"
    runs = json.loads(path.read_text())["runs"] if path.exists() else []
    key = ("case", "preset", "seed")
    others = [other for other in runs if any(other[name] != run[name] for name in key)]
    order = {name: number for number, name in enumerate(CASES)}
    runs = sorted([*others, run], key=lambda each: (order[each["case"]], each["preset"], each["seed"]))
    common.write("cells", {"command": COMMAND, "runs": runs})


if __name__ == "__main__":
    main()
