"""Does hiding genes in unlabelled cells help where few cells are labelled? The preset ``ranks`` with and without it.

The mouse bladder cells are parted by seed into unlabelled ones to pre-train on (70 %), labelled ones (10 %, a third of
which chooses the epoch) and test cells (20 %).

    python benchmarks/quality/cell_pretraining.py --seeds 11
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import anndata
import common
from sklearn.model_selection import train_test_split

from labtune.catalog import load_catalog
from labtune.pipeline import run_settings
from labtune.pretraining.pretrain import pretrain
from labtune.pretraining.settings import resolve_pretraining
from labtune.settings import resolve_settings

TASK = "expression.cell_type"
CELLS = "bio/sc_mouse_bladder/mouse_bladder_cell_select_2100.h5ad"
SCORES = ("accuracy", "macro_f1")
STEPS = 200
SETS = (
    "tokenizer.name=expression.ranks",
    "crop=130",
    "step_tokens=4096",
    "batch_tokens=4096",
    "warmup=20",
    "learning_rate=3e-3",
    "checkpoint_every=25",
)
PARTS = ("train", "valid", "test", "unlabelled")
COMMAND = "python benchmarks/quality/cell_pretraining.py --seeds 11"


def main() -> None:
    """Measure every seed, and write after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[11])
    parser.add_argument("--keep", type=Path, help="folder in which an interrupted measurement goes on")
    arguments = parser.parse_args()
    path = common.RESULTS / "cell_pretraining.json"
    for seed in arguments.seeds:
        runs = json.loads(path.read_text())["runs"] if path.exists() else []
        with tempfile.TemporaryDirectory() as name:
            found = measure(seed, (arguments.keep or Path(name)) / str(seed))
        runs = [run for run in runs if run["seed"] != seed] + found
        common.write("cell_pretraining", {"command": COMMAND, "runs": runs})


def measure(seed: int, folder: Path) -> list[dict[str, Any]]:
    """Pre-train, then fine-tune from there and from scratch; what is in the folder already is not done again."""
    folder.mkdir(parents=True, exist_ok=True)
    files = part(folder, seed)
    options = {"task": TASK, "encoder": "expression.set", "weights": "fresh", "seed": seed, "steps": STEPS}
    settings = resolve_pretraining(options, SETS)
    unlabelled, out = files.pop("unlabelled"), folder / "pretrained"
    if not (out / "metrics.json").exists():
        pretrain(settings, [unlabelled], out=out, catalog=load_catalog(), resume=out.exists())
    curve = json.loads((out / "metrics.json").read_text())["curve"]
    starts = {"scratch": "expression.set", "pre-trained": str(out / "encoder")}
    found = [fine_tune(files, seed, start, encoder, folder) for start, encoder in starts.items()]
    return [{**run, "perplexity": curve[-1]["perplexity"]} for run in found]


def fine_tune(files: dict[str, Path], seed: int, start: str, encoder: str, folder: Path) -> dict[str, Any]:
    """Train on the labelled cells."""
    data = {part: str(path) for part, path in files.items()}
    chosen = {"preset": "ranks", "encoder": encoder, "seed": seed, "data": data, "audit": "off"}
    settings = resolve_settings(load_catalog(), TASK, chosen)
    out = folder / start
    metrics = run_settings(settings, out, resume=out.exists(), catalog=load_catalog()).metrics
    found = {"seed": seed, "start": start, "labelled": metrics["data"]["train"]["records"]}
    found |= {score: metrics["test"][score] for score in SCORES}
    found["baseline"] = {score: metrics["baseline"][score] for score in SCORES}
    print(json.dumps(found), flush=True)
    return found


def part(folder: Path, seed: int) -> dict[str, Path]:
    """Write the parts."""
    if (folder / "unlabelled.h5ad").exists():
        return {name: folder / f"{name}.h5ad" for name in PARTS}
    whole = anndata.read_h5ad(common.data(CELLS))
    rest, test = train_test_split(range(len(whole)), test_size=0.2, random_state=seed)
    unlabelled, labelled = train_test_split(rest, test_size=0.125, random_state=seed)
    train, valid = train_test_split(labelled, test_size=1 / 3, random_state=seed)
    parts = {"train": train, "valid": valid, "test": test, "unlabelled": unlabelled}
    # A type that the labelled cells lack cannot be learned from them.
    known = set(whole.obs["cell_type"].iloc[train])
    for name in ("valid", "test"):
        parts[name] = [row for row in parts[name] if whole.obs["cell_type"].iloc[row] in known]
    for name in PARTS:
        whole[sorted(parts[name])].write_h5ad(folder / f"{name}.h5ad")
    return {name: folder / f"{name}.h5ad" for name in PARTS}


if __name__ == "__main__":
    main()
