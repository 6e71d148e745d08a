"""Planned memory beside the measured peak of short trainings, over encoder sizes, methods and bits.

Each cell is two processes: one plans, one trains a few steps. Encoders have random weights. Measured is the highest
resident memory of the training less that of the process before it, when it had trained a tiny encoder the same way:
libraries load much of themselves at the first step. The highest memory of the whole process stands beside what the
plan says with Python and its libraries.

    python benchmarks/planned_memory.py
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
from transformers import BertConfig, BertModel, EsmConfig, EsmModel

from labtune.catalog import load_catalog
from labtune.device import give_back_memory
from labtune.encoder.tiny import byte_tokenizer
from labtune.pipeline import run_settings
from labtune.planning import plan
from labtune.settings import resolve_settings

SHAPES = {
    "MiniLM": (6, 384, 12),
    "ESM-2 8M": (6, 320, 20),
    "ESM-2 35M": (12, 480, 20),
    "ESM-2 150M": (30, 640, 20),
}  # blocks, width, attention heads
WORDS = 30000  # of MiniLM's vocabulary; ESM-2's has only letters
METHODS = [("full", 32), ("lora", 32), ("lora", 8), ("lora", 4), ("head", 32)]
LARGE = [("lora", 32), ("lora", 4), ("full", 32)]  # of the largest shape
RECORDS, LENGTH = 12, 126  # 128 tokens with the special ones
SETTINGS = {"batch_size": 8, "batch_tokens": 1024, "epochs": 1, "audit": "off"}
MB = 10**6


def main() -> None:
    """Try every cell that is not in the results yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shapes", nargs="*", default=list(SHAPES), help=", ".join(SHAPES))
    parser.add_argument("--cell", nargs=4, metavar=("WORK", "ENCODER", "METHOD", "BITS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.cell:
        work, encoder, method, bits = arguments.cell
        print(json.dumps(WORK[work](Path(encoder), method, int(bits))))
        return
    for shape in arguments.shapes:
        with tempfile.TemporaryDirectory() as folder:
            encoder = write_encoder(shape, Path(folder) / "encoder")
            done = {(cell["shape"], cell["method"], cell["bits"]) for cell in before()}
            for method, bits in METHODS if shape != "ESM-2 150M" else LARGE:
                if (shape, method, bits) not in done:
                    record(shape, method, bits, encoder)


def record(shape: str, method: str, bits: int, encoder: Path) -> None:
    """Plan and train in processes of their own, and write what was found."""
    planned, measured = (child(work, encoder, method, bits) for work in WORK)
    cell = {"shape": shape, "method": method, "bits": bits, "planned": planned, "measured": measured}
    print(cell, flush=True)
    content = {"command": "python benchmarks/planned_memory.py", "settings": SETTINGS, "cells": [*before(), cell]}
    common.write("planned_memory", content)


def child(work: str, encoder: Path, method: str, bits: int) -> Any:
    """Run one piece of work in a process of its own."""
    words = [sys.executable, __file__, "--cell", work, str(encoder), method, str(bits)]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def planned_cell(encoder: Path, method: str, bits: int) -> dict[str, float]:
    """What the plan says, without and with the program, in MB."""
    with tempfile.TemporaryDirectory() as folder:
        found = plan(settings_of(encoder, method, bits, Path(folder)), timed=False)
    return {"training": found.footprint.total / MB, "process": found.total / MB, "holes": found.footprint.holes / MB}


def measured_cell(encoder: Path, method: str, bits: int) -> dict[str, float]:
    """What a few steps of training need, without what the process had before them and with it, in MB."""
    with tempfile.TemporaryDirectory() as folder:
        settings, catalog = settings_of(encoder, method, bits, Path(folder)), load_catalog()
        run_settings(replace(settings, encoder="tiny"), Path(folder) / "tiny", catalog=catalog)
        give_back_memory()
        before = psutil.Process().memory_info().rss / MB
        run = run_settings(settings, Path(folder) / "run", catalog=catalog)
    peak = run.metrics["train"]["peak_memory_mb"] * 2**20 / MB
    return {"training": peak - before, "process": peak}


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
    """Write an encoder of this shape with random weights, and a vocabulary of bytes."""
    blocks, width, heads = SHAPES[shape]
    tokenizer = byte_tokenizer()
    sizes = {"num_hidden_layers": blocks, "hidden_size": width, "num_attention_heads": heads}
    sizes |= {"intermediate_size": 4 * width, "pad_token_id": tokenizer.pad_token_id}
    if shape == "MiniLM":
        model: Any = BertModel(BertConfig(vocab_size=WORDS, **sizes), add_pooling_layer=False)
    else:
        options = {"position_embedding_type": "rotary", "token_dropout": True, "mask_token_id": tokenizer.mask_token_id}
        model = EsmModel(EsmConfig(vocab_size=len(tokenizer), **sizes, **options), add_pooling_layer=False)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def before() -> list[dict[str, Any]]:
    """Cells that are in the results."""
    path = common.RESULTS / "planned_memory.json"
    found: list[dict[str, Any]] = json.loads(path.read_text())["cells"] if path.exists() else []
    return found


if __name__ == "__main__":
    main()
