"""Planned memory beside the measured peak of short trainings, over encoder sizes, methods and bits.

Each cell is two processes: one plans, one trains a few steps. Encoders are BERT-shaped with random weights. Measured
is the highest resident memory of the training less that of the process before it, when it had trained a tiny encoder
the same way: libraries load much of themselves at the first step.

    python benchmarks/planned_memory.py small middle large giant
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import common
import psutil
from transformers import BertConfig, BertModel

from labtune.catalog import load_catalog
from labtune.device import give_back_memory
from labtune.encoder.tiny import byte_tokenizer
from labtune.pipeline import run_settings
from labtune.planning import plan
from labtune.settings import resolve_settings

SHAPES = {
    "small": (6, 384, 30000),
    "middle": (12, 768, 300),
    "large": (24, 1024, 300),
    "giant": (33, 1280, 300),
}  # blocks, width, vocabulary
CELLS = {
    "small": [("full", 32), ("lora", 32), ("lora", 4), ("bitfit", 16), ("prompt", 32)],
    "middle": [("full", 32), ("lora", 32), ("lora", 16), ("lora", 8), ("lora", 4), ("ia3", 8), ("adapter", 4),
               ("head", 32), ("dora", 4)],
    "large": [("full", 32), ("lora", 32), ("lora", 4), ("head", 4)],
    "giant": [("lora", 4), ("lora", 32)],  # the size of ESM-2 650M
}  # fmt: skip
RECORDS, LENGTH = 12, 126  # 128 tokens with the special ones
SETTINGS = {"batch_size": 8, "batch_tokens": 1024, "epochs": 1, "audit": "off"}
MB = 10**6


def main() -> None:
    """Try every cell that is not in the results yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shapes", nargs="*", help=", ".join(SHAPES))
    parser.add_argument("--most", type=int, default=99, help="new cells of a shape")
    parser.add_argument("--cell", nargs=4, metavar=("WORK", "ENCODER", "METHOD", "BITS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.cell:
        work, encoder, method, bits = arguments.cell
        print(json.dumps(WORK[work](Path(encoder), method, int(bits))))
        return
    for shape in arguments.shapes:
        with tempfile.TemporaryDirectory() as folder:
            encoder = write_encoder(shape, Path(folder) / shape)
            done = {(cell["shape"], cell["method"], cell["bits"]) for cell in before()}
            for method, bits in [cell for cell in CELLS[shape] if (shape, *cell) not in done][: arguments.most]:
                record(shape, method, bits, encoder)


def record(shape: str, method: str, bits: int, encoder: Path) -> None:
    """Plan and train in processes of their own, and write what was found."""
    planned, measured = (child(work, encoder, method, bits)["mb"] for work in WORK)
    error = planned / measured - 1
    cell = {"shape": shape, "method": method, "bits": bits, "planned": planned, "measured": measured, "error": error}
    print(cell, flush=True)
    cells = [*before(), cell]
    tried = " ".join(shape for shape in SHAPES if any(cell["shape"] == shape for cell in cells))
    command = f"python benchmarks/planned_memory.py {tried}"
    common.write("planned_memory", {"command": command, "shapes": SHAPES, "settings": SETTINGS, "cells": cells})


def child(work: str, encoder: Path, method: str, bits: int) -> Any:
    """Run one piece of work in a process of its own."""
    words = [sys.executable, __file__, "--cell", work, str(encoder), method, str(bits)]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def planned_cell(encoder: Path, method: str, bits: int) -> dict[str, float]:
    """What the plan says, without the program."""
    with tempfile.TemporaryDirectory() as folder:
        settings = settings_of(encoder, method, bits, Path(folder))
        return {"mb": plan(settings, timed=False).footprint.total / MB}


def measured_cell(encoder: Path, method: str, bits: int) -> dict[str, float]:
    """What a few steps of training need beyond the process before them, which has trained a tiny encoder."""
    with tempfile.TemporaryDirectory() as folder:
        settings, catalog = settings_of(encoder, method, bits, Path(folder)), load_catalog()
        run_settings(replace(settings, encoder="tiny"), Path(folder) / "tiny", catalog=catalog)
        give_back_memory()
        before = psutil.Process().memory_info().rss
        run = run_settings(settings, Path(folder) / "run", catalog=catalog)
    return {"mb": (run.metrics["train"]["peak_memory_mb"] * 2**20 - before) / MB}


WORK = {"plan": planned_cell, "train": measured_cell}


def settings_of(encoder: Path, method: str, bits: int, folder: Path) -> Any:
    """Settings of a short training on random texts of one length."""
    draw = random.Random(0)
    rows = [f"{''.join(draw.choices('abcdefgh', k=LENGTH))}@{label}\n" for label in ("positive", "negative") * RECORDS]
    data = folder / "texts.txt"
    data.write_text("".join(rows))
    flags: Mapping[str, Any] = {"encoder": str(encoder), "method": method, "bits": bits, "data": {"train": str(data)}}
    return resolve_settings(load_catalog(), "finance.sentiment", {**flags, **SETTINGS})


def write_encoder(shape: str, folder: Path) -> Path:
    """Write a BERT of this shape with random weights, and a vocabulary of bytes."""
    blocks, width, vocabulary = SHAPES[shape]
    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=blocks,
        num_attention_heads=width // 64,
        intermediate_size=4 * width,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


def before() -> list[dict[str, Any]]:
    """Cells that are in the results."""
    path = common.RESULTS / "planned_memory.json"
    found: list[dict[str, Any]] = json.loads(path.read_text())["cells"] if path.exists() else []
    return found


if __name__ == "__main__":
    main()
