"""One step of a training of an ESM-2-shaped encoder, measured beside its plan.

Each cell is two processes: one plans, one trains. Weights are random. Measured is, on a GPU, the most memory that was
allocated there; on a CPU the highest resident memory of the training, less that of the process before it, when it had
trained a tiny encoder the same way: libraries load much of themselves at the first step.

    python benchmarks/esm_memory_measured.py esm2_650m --methods head lora
    python benchmarks/esm_memory_measured.py esm2_650m --methods head lora --most 4
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import common
import psutil
import torch
from esm_memory import BITS, SHAPES, write_encoder, write_records
from transformers import AutoConfig, AutoModel

from labtune.catalog import load_catalog
from labtune.device import give_back_memory
from labtune.pipeline import run_settings
from labtune.planning import plan
from labtune.settings import METHODS, Settings, resolve_settings

TASK = "protein.secondary_structure"
RECORDS, LENGTH = 2, 254  # with the special tokens, both are one pass of 512 tokens and one step
SETTINGS = {"batch_tokens": 512, "batch_size": 2, "epochs": 1, "audit": "off"}
MB = 10**6


def main() -> None:
    """Try every cell that is not in the results yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shapes", nargs="+")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=["head", "lora"])
    parser.add_argument("--bits", nargs="+", type=int, choices=BITS, default=list(BITS))
    parser.add_argument("--most", type=int, help="new cells of a shape")
    parser.add_argument("--work", choices=WORK, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:  # in a child: the one shape is a folder
        cell = settings_of(Path(arguments.shapes[0]), arguments.methods[0], arguments.bits[0])
        print(json.dumps(WORK[arguments.work](cell)))
        return
    for shape in arguments.shapes:
        done = {(cell["shape"], cell["method"], cell["bits"]) for cell in before()}
        cells = itertools.product(arguments.methods, arguments.bits)
        missing = [cell for cell in cells if (shape, *cell) not in done][: arguments.most]
        if not missing:
            continue
        with tempfile.TemporaryDirectory() as folder:
            write_records(Path(folder) / "records.csv", RECORDS, LENGTH)
            encoder = write_weights(shape, Path(folder))
            for method, bits in missing:
                record(shape, method, bits, encoder)


def write_weights(shape: str, folder: Path) -> Path:
    """Write an encoder of this shape, with random weights."""
    encoder = write_encoder(shape, SHAPES[shape][0], folder, load_catalog())
    torch.manual_seed(0)
    AutoModel.from_config(AutoConfig.from_pretrained(encoder), add_pooling_layer=False).save_pretrained(encoder)
    return encoder


def record(shape: str, method: str, bits: int, encoder: Path) -> None:
    """Plan and train in processes of their own, and write what was found."""
    planned, measured = (child(work, encoder, method, bits) for work in WORK)
    cell = {"shape": shape, "method": method, "bits": bits, "planned_mb": planned, "measured_mb": measured}
    print(cell, flush=True)
    content = {"command": f"python benchmarks/esm_memory_measured.py {shape}", "tokens": RECORDS * (LENGTH + 2)}
    common.write(result(), content | {"settings": SETTINGS, "cells": [*before(), cell]})


def child(work: str, encoder: Path, method: str, bits: int) -> float:
    """Do one piece of work in a process of its own."""
    words = [sys.executable, __file__, str(encoder), "--methods", method, "--bits", str(bits), "--work", work]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def planned_mb(settings: Settings) -> float:
    """What the plan says, without the program."""
    return plan(settings, timed=False).footprint.total / MB


def measured_mb(settings: Settings) -> float:
    """What one step of training needs beyond the process before it, which has trained a tiny encoder."""
    catalog = load_catalog()
    with tempfile.TemporaryDirectory() as folder:
        if not torch.cuda.is_available():  # an accelerator's memory holds nothing of the program
            run_settings(replace(settings, encoder="tiny"), Path(folder) / "tiny", catalog=catalog)
        give_back_memory()
        earlier = 0 if torch.cuda.is_available() else psutil.Process().memory_info().rss
        run = run_settings(settings, Path(folder) / "run", catalog=catalog)
    return float(run.metrics["train"]["peak_memory_mb"] * 2**20 - earlier) / MB


WORK = {"plan": planned_mb, "train": measured_mb}


def settings_of(encoder: Path, method: str, bits: int) -> Settings:
    """Settings of one step on the records beside the encoder."""
    data = str(encoder.parent / "records.csv")
    flags: dict[str, Any] = {"encoder": str(encoder), "method": method, "bits": bits}
    flags |= {"data": {"train": data, "valid": data}} | SETTINGS
    return resolve_settings(load_catalog(), TASK, flags)


def result() -> str:
    """Name the result of this kind of device."""
    return "esm_memory_measured_gpu" if torch.cuda.is_available() else "esm_memory_measured"


def before() -> list[dict[str, Any]]:
    """Cells that are in the results."""
    path = common.RESULTS / f"{result()}.json"
    found: list[dict[str, Any]] = json.loads(path.read_text())["cells"] if path.exists() else []
    return found


if __name__ == "__main__":
    main()
