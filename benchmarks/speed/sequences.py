"""How long the convolutional network trains and predicts: random sequences of 80 letters, the default preset.

Times do not depend on what is learned, so a few epochs are timed and the preset's number is told beside.

    OMP_NUM_THREADS=2 python benchmarks/speed/sequences.py --train 10000 --epochs 1 --predict 20000
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
import numpy as np
import torch

import labtune
from labtune.catalog import load_catalog
from labtune.deploy.predictor import predict_file

TASK = "expression.promoter"
NAME = "speed-sequences"
LETTERS = 80


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--predict", type=int, default=100_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), arguments)
    path = common.RESULTS / f"{NAME}.json"
    earlier = json.loads(path.read_text())["by_threads"] if path.exists() else {}
    by_threads = {**earlier, str(torch.get_num_threads()): found}
    command = f"python benchmarks/speed/sequences.py --train {arguments.train} --epochs {arguments.epochs}"
    print("written:", common.write(NAME, {"command": command, "by_threads": dict(sorted(by_threads.items()))}))


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train on some records and predict others."""
    rows = {"train": arguments.train, "valid": 200, "test": 200, "asked": arguments.predict}
    files = {part: write(folder / f"{part}.csv", count, seed) for seed, (part, count) in enumerate(rows.items())}
    asked = files.pop("asked")
    done = labtune.run(TASK, **files, out=folder / "run", epochs=arguments.epochs, audit="off")
    predicted = predict_file(folder / "run", asked)
    seconds = done.metrics["train"]["seconds"] / arguments.epochs
    preset = load_catalog().task(TASK).preset().settings["epochs"]
    found = {"records": arguments.train, "seconds_an_epoch": seconds, "epochs_of_the_preset": preset}
    found |= {"training_minutes": seconds * preset / 60, "predicted": predicted["records"]}
    found |= {"records_per_second": predicted["records_per_second"]}
    found |= {"minutes_a_million": 1e6 / predicted["records_per_second"] / 60}
    print(found)
    return found


def write(path: Path, records: int, seed: int) -> Path:
    """Write random sequences with random numbers."""
    chance = np.random.default_rng(seed)
    lines = ["id,sequence,expression"]
    for number in range(records):
        lines.append(f"{number},{''.join(chance.choice(list('ACGT'), LETTERS))},{chance.normal():.3f}")
    path.write_text("\n".join(lines) + "\n")
    return path


if __name__ == "__main__":
    main()
