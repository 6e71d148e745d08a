"""Planned beside measured time of a training's epoch, over encoder sizes, methods and bits, one after the other.

OMP_NUM_THREADS=1 python benchmarks/planned_time.py
"""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import common
from planned_memory import write_encoder

from labtune.catalog import load_catalog
from labtune.pipeline import run_settings
from labtune.planning import plan
from labtune.settings import Settings, resolve_settings

SHAPES = ("MiniLM", "ESM-2 8M", "ESM-2 35M")
METHODS = (("full", 32), ("lora", 4), ("head", 32))
RECORDS = 160
LENGTHS = (10, 126)  # letters
SETTINGS = {"batch_size": 16, "batch_tokens": 4096, "epochs": 1, "audit": "off"}
FEW = 2  # records to validate and test with, whose time is not compared


def main() -> None:
    """Plan and train every cell."""
    catalog, cells = load_catalog(), []
    with tempfile.TemporaryDirectory() as folder:
        files = write_data(Path(folder))
        for shape in SHAPES:
            encoder = write_encoder(shape, Path(folder) / shape)
            for method, bits in METHODS:
                flags = {"encoder": str(encoder), "method": method, "bits": bits, "data": files}
                settings = resolve_settings(catalog, "finance.sentiment", {**flags, **SETTINGS})
                cells.append({"shape": shape, "method": method, "bits": bits, **times(settings, Path(folder))})
                print(cells[-1], flush=True)
    content = {"command": "OMP_NUM_THREADS=1 python benchmarks/planned_time.py", "records": RECORDS}
    print("written:", common.write("planned_time", {**content, "settings": SETTINGS, "cells": cells}))


def times(settings: Settings, folder: Path) -> dict[str, float]:
    """Seconds of an epoch, planned and measured."""
    duration = plan(settings).duration
    assert duration is not None
    run = run_settings(settings, folder / f"{Path(settings.encoder).name}-{settings.method}")
    return {"planned": duration.epoch, "measured": run.metrics["train"]["seconds"]}


def write_data(folder: Path) -> dict[str, str]:
    """Write random texts of different lengths to train with, and hardly any to validate and test with."""
    draw, files = random.Random(0), {}
    for part, count in (("train", RECORDS), ("valid", FEW), ("test", FEW)):
        texts = ("".join(draw.choices("abcdefgh", k=draw.randint(*LENGTHS))) for _ in range(count))
        path = folder / f"{part}.txt"
        path.write_text("".join(f"{text}@{('positive', 'negative')[i % 2]}\n" for i, text in enumerate(texts)))
        files[part] = str(path)
    return files


if __name__ == "__main__":
    main()
