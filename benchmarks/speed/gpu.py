"""Everything that needs a GPU, in one run of under ten minutes: checks of exactness, then speed beside the Trainer.

The encoder has ESM-2's architecture at 650 million parameters with random weights, which speed does not depend on; it
learns a class for every residue of random sequences whose lengths are drawn as those of proteins. No data set and no
network are needed. ``--small`` does the same with a tiny network on any machine, as a test of this script.

    python benchmarks/speed/gpu.py
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import cases
import common
import numpy as np
import peers
import torch
from gpu_checks import checks

from labtune.catalog import load_catalog
from labtune.data.batching import epoch_steps
from labtune.encoder.compiling import compile_blocks
from labtune.processes import start
from labtune.settings import resolve_settings
from labtune.specs import Labels, Record
from labtune.training.journal import Journal
from labtune.training.optimisation import build_optimizer
from labtune.training.steps import StepRunner

# Dense bfloat16 rates of NVIDIA's data sheets, in floating-point operations a second.
SHEETS = {"H200": 989.4e12, "H100": 989.4e12, "A100": 312e12, "L40S": 362e12, "L4": 121e12}
COMPILED = "labtune trains, compiled"
RESIDUES, STATES = "ACDEFGHIKLMNPQRSTVWY", ("H", "E", "C")


@dataclass(frozen=True)
class Scale:
    """How large the measurement is."""

    shape: dict[str, int]
    steps: int
    batch_size: int
    batch_tokens: int
    longest: int
    rounds: int
    matrix: int


FULL = Scale(cases.ESM2_650M, steps=12, batch_size=32, batch_tokens=8192, longest=400, rounds=2, matrix=8192)
TINY = {"num_hidden_layers": 2, "hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2}
SMALL = Scale(TINY, steps=2, batch_size=4, batch_tokens=512, longest=60, rounds=1, matrix=256)


def main() -> None:
    """Check, measure and write the result; exit with 1 when a check fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="a tiny network, on any machine; writes no result")
    arguments = parser.parse_args()
    if not (arguments.small or torch.cuda.is_available()):
        raise SystemExit("no GPU that torch can use; --small runs anywhere")
    result = run(SMALL if arguments.small else FULL)
    if not arguments.small:
        print("written:", common.write("gpu", {"command": "benchmarks/speed/gpu.py", **result}))
    raise SystemExit(not all(check["ok"] for check in result["checks"]))


def run(scale: Scale) -> dict[str, Any]:
    """Do everything at one scale."""
    began = time.perf_counter()
    found = []
    for check in checks():
        found.append(check)
        print("ok  " if check["ok"] else "FAIL", f"{check['check']}: {check['error']:.1e}", flush=True)
    speed = measure(scale)
    return {"checks": found, "speed": speed, "seconds": time.perf_counter() - began}


def measure(scale: Scale) -> dict[str, Any]:
    """Training and prediction in turns, and then training with compiled blocks."""
    case = build(scale)
    sides = {
        "labtune trains": steps_of(case),
        "Trainer, best flags": lambda: case.train_peer(peers.BEST_FLAGS),
        "labtune predicts": case.predict_ours,
        "pipeline, batches of 32 in bfloat16": lambda: case.predict_peer(batch_size=32, dtype=torch.bfloat16),
    }
    for side in ("labtune trains", "labtune predicts"):
        alone(sides[side])  # warm-up
    rounds: list[dict[str, float]] = []
    for _ in range(scale.rounds):
        rounds.append({name: alone(side) for name, side in sides.items()})
        print({name: round(speed) for name, speed in rounds[-1].items()}, flush=True)
    compile_blocks(case.parts.model.encoder, torch.device(common.device()))
    began = time.perf_counter()
    alone(sides["labtune trains"])
    print(f"compiled: {time.perf_counter() - began:.0f} s", flush=True)
    for row in rounds:
        row[COMPILED] = alone(sides["labtune trains"])
        print(COMPILED, round(row[COMPILED]), flush=True)
    return summarise(rounds, case, scale)


def build(scale: Scale) -> cases.Case:
    """Random sequences with random states."""
    rng = np.random.default_rng(0)
    folder = cases.esm2(load_catalog(), scale.shape)
    chosen = {"encoder": folder, "epochs": 1, "batch_size": scale.batch_size, "batch_tokens": scale.batch_tokens}
    settings = resolve_settings(
        load_catalog(), "protein.secondary_structure", {**cases.TASKS["secondary_structure"][1], **chosen}
    )
    count = scale.steps * scale.batch_size
    lengths = np.clip(rng.lognormal(5.4, 0.6, count), 10, scale.longest).astype(int)  # median 221
    records = [
        Record(str(number), "".join(rng.choice(list(RESIDUES), length)), rng.choice(STATES, length).tolist())
        for number, length in enumerate(lengths)
    ]
    return cases.assemble(settings, Labels(kind="classes", names=STATES), records, records[: scale.batch_size])


def steps_of(case: cases.Case) -> Callable[[], float]:
    """Labtune's training steps without its checkpoints, which would fill the disk at this size."""
    accelerator = start("bf16")
    training = case.training(Path(tempfile.mkdtemp()))
    model = training.model.to(accelerator.device).train()
    optimizer = build_optimizer(model.trainable(), case.settings, training.rates)
    wrapped, prepared = accelerator.prepare(model, optimizer)
    step = StepRunner(training, accelerator, wrapped, prepared, case.settings.batch_tokens)
    journal = Journal(None, total=None)

    def run() -> float:
        wrapped.train()
        began = time.perf_counter()
        for number, rows in enumerate(epoch_steps(len(case.train), case.settings.batch_size, seed=0, epoch=0)):
            step(rows, number, journal)
        common.finish()
        return case.tokens / (time.perf_counter() - began)

    return run


def alone(side: Callable[[], float]) -> float:
    """Run one side with the memory that the others have left."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return side()


def summarise(rounds: list[dict[str, float]], case: cases.Case, scale: Scale) -> dict[str, Any]:
    """Medians, and the share of the device's rate that labtune's training reaches."""
    medians = {name: statistics.median(row[name] for row in rounds) for name in rounds[0]}
    needed = medians[COMPILED] * operations_a_token(case)
    rate = common.matmul_rate(torch.bfloat16, scale.matrix)
    sheet = next((rate for name, rate in SHEETS.items() if name in common.machine()["device"]), None)
    return {
        "tokens_a_step": case.tokens / scale.steps,
        "tokens_per_second": medians,
        "matmul_rate": rate,
        "share_of_matmul_rate": needed / rate,
        "model_flop_utilisation": None if sheet is None else needed / sheet,
        "rounds": rounds,
    }


def operations_a_token(case: cases.Case) -> float:
    """Six a weight; and twelve times the width for every token that a token reads, in every layer."""
    encoder, lengths = case.parts.model.encoder, case.train.tokens.lengths.double()
    read = float(lengths.square().sum() / lengths.sum())
    return 6 * case.layer_weights() + 12 * encoder.width * read * len(encoder.blocks)


if __name__ == "__main__":
    main()
