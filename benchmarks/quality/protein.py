"""Protein tasks with ``protein.mini``, beside the same network with fresh weights and the task's linear baseline.

    python benchmarks/quality/protein.py --seeds 0 1 2
    python benchmarks/quality/protein.py --tasks gb1 contacts --tune epochs=20

Test parts: secondary structure has FLIP's validation split as test (its own test set is not among the data), and every
tenth training chain chooses checkpoints. GB1 is FLIP's two-vs-rest. avGFP has 5,000 training variants. Meltome and
contacts are split by sequence identity (0.3). DeepLoc trains on the file of the 2,768 test proteins, because the
training file is not among the data, and is tested on the 1,678 others.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import common
import numpy as np

from labtune.catalog import Catalog, load_catalog
from labtune.data.batching import stable_seed
from labtune.encoder.fresh import fresh_encoder
from labtune.pipeline import run_settings
from labtune.settings import resolve_settings
from labtune_protein.contacts import CUTOFF, contact_record
from labtune_protein.structure.chains import Chain

Flags = dict[str, Any]


def secondary_structure(folder: Path) -> Flags:
    """FLIP: train without every tenth chain, which validates; test on its validation split."""
    source = common.data("bio/flip_secondary_structure")
    for kind in ("sequences", "labels_dssp3", "mask"):
        entries = (source / f"train.{kind}.fasta").read_text().split(">")[1:]
        for part, chosen in (("train", range(1, 10)), ("valid", range(1))):
            kept = [entry for number, entry in enumerate(entries) if number % 10 in chosen]
            (folder / f"{part}.{kind}.fasta").write_text("".join(f">{entry}" for entry in kept))
    files = {part: str(folder / f"{part}.sequences.fasta") for part in ("train", "valid")}
    return {"data": {**files, "test": str(source / "val.sequences.fasta")}, "epochs": 4}


def gb1(folder: Path) -> Flags:
    """FLIP's two-vs-rest with its own validation rows."""
    rows = list(_rows("bio/flip_gb1/two_vs_rest.csv.gz"))
    parts = ["valid" if row["validation"] == "True" else row["set"] for row in rows]
    return _table(folder, [(row["sequence"], row["target"], part) for row, part in zip(rows, parts, strict=True)])


def avgfp(folder: Path) -> Flags:
    """5,000 training, 1,000 validation and 5,000 test variants, drawn by a seed of their own."""
    rows = list(_rows("bio/dms/avgfp.csv.gz"))
    random.Random(0).shuffle(rows)
    parts = ["train"] * 5000 + ["valid"] * 1000 + ["test"] * 5000
    return _table(folder, [(row["sequence"], row["score"], part) for row, part in zip(rows, parts, strict=False)])


def meltome(folder: Path) -> Flags:
    """One file, split by identity."""
    return {
        "data": {"train": str(common.data("bio/flip_meltome/clustered_task.train.csv.gz"))},
        "reader": {"target": "target"},
        "split": "identity:0.3",
    }


def deeploc(folder: Path) -> Flags:
    """Locations of proteins; a share of the training file validates."""
    source = common.data("bio/deeploc")
    return {
        "data": {"train": str(source / "deeploc_test_set.fasta"), "test": str(source / "deeploc_our_val_set.fasta")},
        "reader": {"header": "(.+)-[MSU]"},
    }


def contacts(folder: Path) -> Flags:
    """Chains of cgdms, split by identity; coordinates are the PDB's."""
    with (folder / "contacts.jsonl").open("w") as file:
        for path in sorted(common.data("bio/structures_cgdms").glob("*.txt")):
            record = contact_record(_chain(path), path.stem, (CUTOFF,), str(path))
            row = {"id": record.id, "sequence": record.input, "contacts": record.target, **record.columns}
            file.write(json.dumps(row) + "\n")
    return {"data": {"train": str(folder / "contacts.jsonl")}, "split": "identity:0.3"}


TASKS: dict[str, tuple[str, Callable[[Path], Flags], str]] = {
    "secondary_structure": ("protein.secondary_structure", secondary_structure, "q3"),
    "gb1": ("protein.property", gb1, "spearman"),
    "avgfp": ("protein.property", avgfp, "spearman"),
    "meltome": ("protein.property", meltome, "spearman"),
    "deeploc": ("protein.class", deeploc, "accuracy"),
    "contacts": ("protein.contact", contacts, "p_at_l_long"),
}


def main() -> None:
    """Measure, print a line a run, and write the results of the tasks that were measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--tune", nargs="*", metavar="KEY=VALUE", help="score these settings on validation data only")
    arguments = parser.parse_args()
    found = {name: measure(name, arguments) for name in arguments.tasks}
    if arguments.tune is None:
        path = common.RESULTS / "protein.json"
        before = json.loads(path.read_text())["tasks"] if path.exists() else {}
        print("written:", common.write("protein", {"command": " ".join(sys.argv), "tasks": {**before, **found}}))


def measure(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Run one task with both starts and every seed."""
    task, prepare, score = TASKS[name]
    catalog = load_catalog()
    runs = []
    with tempfile.TemporaryDirectory() as folder:
        flags = prepare(Path(folder))
        for seed in arguments.seeds:
            for start in ("pre-trained", "fresh"):
                encoder = (
                    "protein.mini" if start == "pre-trained" else _fresh(Path(folder) / f"fresh{seed}", catalog, seed)
                )
                settings = resolve_settings(
                    catalog, task, {**flags, "encoder": encoder, "seed": seed}, arguments.tune or []
                )
                out = Path(folder) / f"run-{start}-{seed}"
                metrics = run_settings(settings, out=out, catalog=catalog).metrics
                runs.append(_line(name, start, seed, score, metrics, tuned=arguments.tune is not None))
    return {"score": score, "runs": runs, "summary": _summary(runs)}


def _line(name: str, start: str, seed: int, score: str, metrics: Flags, *, tuned: bool) -> dict[str, Any]:
    part = "valid" if tuned else "test"
    run = {
        "start": start,
        "seed": seed,
        "score": metrics[part][score],
        "baseline": None if tuned else metrics["baseline"][score],
        "train_seconds": metrics["train"]["seconds"],
        "tokens_per_second": metrics["train"]["tokens_per_second"],
        "split": metrics["split"],
    }
    print(name, {key: value for key, value in run.items() if key != "split"}, flush=True)
    return run


def _summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    starts = list(dict.fromkeys(run["start"] for run in runs))
    table = {start: common.spread([run["score"]["value"] for run in runs if run["start"] == start]) for start in starts}
    baselines = [run["baseline"]["value"] for run in runs if run["baseline"]]
    return {**table, **({"baseline": common.spread(baselines)} if baselines else {})}


def _fresh(folder: Path, catalog: Catalog, seed: int) -> str:
    """Write the same network with fresh weights."""
    if not folder.exists():
        fresh_encoder("protein.mini", catalog, config={}, seed=stable_seed("fresh", seed)).save(folder)
    return str(folder)


def _rows(name: str) -> Iterator[dict[str, str]]:
    with gzip.open(common.data(name), "rt") as file:
        yield from csv.DictReader(file)


def _table(folder: Path, rows: list[tuple[str, str, str]]) -> Flags:
    """Write variants with their part; equal sequences stay in the part of the first."""
    path = folder / "variants.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["sequence", "value", "part"])
        writer.writerows(rows)
    return {"data": {"train": str(path)}, "split": "column:part", "preset": "variants"}


def _chain(path: Path) -> Chain:
    """One chain: a line of sequence, a line that is not used, then N, CA, C and a side-chain centre a residue."""
    lines = path.read_text().splitlines()
    numbers = np.array([line.split() for line in lines[2:] if line.strip()], dtype=float).reshape(-1, 4, 3)
    backbone = np.full_like(numbers, np.nan)
    backbone[:, :3] = numbers[:, :3]
    return Chain(path.stem, lines[0].strip(), backbone)


if __name__ == "__main__":
    main()
