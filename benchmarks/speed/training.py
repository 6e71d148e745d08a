"""Training and prediction speed beside ``transformers.Trainer`` and ``transformers.pipeline``, in turns in one run.

Both sides learn from the same records with the same encoder and the same records a step: CoNLL-2003 and PhraseBank with
minilm, FLIP secondary structure with an encoder of ESM-2's smallest shape. A round trains each side for a few steps and
predicts the same records; sides take turns, so that other load on the machine hits all alike. Figures are real tokens
(padding not counted) a second, the median of the rounds; ratios are taken round by round. ``share`` is labtune's matrix
arithmetic against the processor's measured rate of matrix products.

    python benchmarks/speed/training.py conll2003 phrasebank secondary_structure --rounds 3
"""

from __future__ import annotations

import argparse
import shlex
import statistics
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import cases
import common
import torch


def main() -> None:
    """Measure in turns and write a result for each case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="+", choices=cases.TASKS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--asked", type=int, default=500, help="records to predict")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--without", nargs="*", default=[], help="sides to leave out")
    arguments = parser.parse_args()
    for name in arguments.cases:
        measure(name, arguments)


def measure(name: str, arguments: argparse.Namespace) -> None:
    """Measure one case."""
    case = cases.build(name, steps=arguments.steps, asked=arguments.asked, batch_size=arguments.batch_size)
    sides = {side: run for side, run in cases.sides(case).items() if side not in arguments.without}
    case.train_ours()  # warm-up
    rounds: list[dict[str, float]] = []
    for _ in range(arguments.rounds):
        rounds.append({side: run() for side, run in sides.items()})
        print(name, {side: round(speed) for side, speed in rounds[-1].items()}, flush=True)
        path = common.write(f"speed-{name}", summarise(rounds, case, arguments))  # what an interruption leaves, too
    print("written:", path)


def summarise(rounds: list[dict[str, float]], case: cases.Case, arguments: argparse.Namespace) -> dict[str, Any]:
    """Medians, and the share of the processor's rate."""
    medians = {name: statistics.median(row[name] for row in rounds) for name in rounds[0]}
    # Six operations a weight and token, forward and backward; embeddings are looked up, not multiplied.
    needed = medians["labtune trains"] * 6 * case.layer_weights()
    return {
        "command": shlex.join(sys.argv),
        "batch_size": arguments.batch_size,
        "tokens_a_step": case.tokens / arguments.steps,
        "tokens_per_second": medians,
        "matmul_rate": (rate := common.matmul_rate(torch.bfloat16)),
        "share_of_matmul_rate": needed / rate,
        "rounds": rounds,
    }


if __name__ == "__main__":
    main()
