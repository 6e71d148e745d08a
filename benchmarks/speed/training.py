"""Training and prediction speed beside ``transformers.Trainer`` and ``transformers.pipeline``, in turns in one run.

Both sides learn from the same sentences of CoNLL-2003 with the same encoder (minilm) and the same records a step. A
round trains each side for a few steps and predicts the same sentences; sides take turns, so that other load on the
machine hits all alike. Figures are real tokens (padding not counted) a second, the median of the rounds; ratios are
taken round by round. ``share`` is labtune's matrix arithmetic against the processor's measured rate of matrix products.

    python benchmarks/speed/training.py --rounds 5
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import common
import peers
import torch
from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline

from labtune.catalog import load_catalog
from labtune.data.splits import load_splits
from labtune.encoder.methods.rates import learning_rates
from labtune.encoder.minilm import locate
from labtune.inference import predict
from labtune.parts import build_parts, fit_parts
from labtune.processes import start
from labtune.settings import resolve_settings
from labtune.training.loop import fit
from labtune.training.training import Training
from labtune_ner.tags import encode, tag_names


def main() -> None:
    """Measure in turns and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--batch-size", type=int, default=32)
    arguments = parser.parse_args()
    sides = build(arguments.steps, arguments.batch_size)
    for side in sides.values():
        side()  # warm-up
    rounds: list[dict[str, float]] = []
    for _ in range(arguments.rounds):
        rounds.append({name: side() for name, side in sides.items()})
        print({name: round(speed) for name, speed in rounds[-1].items()}, flush=True)
    print("written:", common.write("training_speed", summarise(rounds, arguments)))


def build(steps: int, batch_size: int) -> dict[str, Callable[[], float]]:
    """Make a function for each side that works once and returns real tokens a second."""
    catalog = load_catalog()
    data = {part: str(common.data(f"text/conll2003_en/{part}.txt")) for part in ("train", "valid", "test")}
    settings = resolve_settings(
        catalog, "ner.conll2003", {"data": data, "batch_size": batch_size, "epochs": 1, "encoder": "minilm"}
    )
    splits = load_splits(catalog.task(settings.task), settings)
    train, test = splits.records["train"][: steps * batch_size], splits.records["test"][:1000]
    types = splits.labels.names
    parts = build_parts(settings, catalog, splits.labels)
    tokenised, asked = parts.tokenizer(train), parts.tokenizer(test)
    fit_parts(parts, tokenised)
    tokens, asked_tokens = len(tokenised.tokens.values), len(asked.tokens.values)

    def ours() -> float:
        with tempfile.TemporaryDirectory() as folder:
            training = Training(
                model=parts.model,
                loss=parts.loss,
                metric=parts.metrics[0],
                train=tokenised,
                valid=None,
                settings=settings,
                rates=learning_rates(parts.model.encoder, parts.model.trainable(), settings),
                checkpoints=Path(folder) / "checkpoints",
                log=Path(folder) / "log.jsonl",
            )
            progress = fit(training, start("bf16"))
        return tokens / progress.seconds

    pairs = [(list(record.input), encode(record.target, len(record.input), types)) for record in train]

    def trainer(flags: dict[str, Any]) -> float:
        shared = {"labels": len(tag_names(types)), "epochs": 1, "batch_size": batch_size, "seed": 0}
        return tokens / peers.train_tokens(locate(), pairs, [], flags=flags, **shared).train_seconds

    def ours_predicts() -> float:
        began = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16):
            predict(parts.model, asked, batch_tokens=settings.batch_tokens)
        return asked_tokens / (time.perf_counter() - began)

    model = AutoModelForTokenClassification.from_pretrained(locate(), num_labels=len(tag_names(types)))
    texts = [" ".join(record.input) for record in test]

    def pipeline_predicts(**options: Any) -> float:
        peer = pipeline(
            "token-classification", model=model, tokenizer=AutoTokenizer.from_pretrained(locate()), **options
        )
        began = time.perf_counter()
        peer(texts)
        return asked_tokens / (time.perf_counter() - began)

    return {
        "labtune trains": ours,
        "Trainer, default flags": lambda: trainer({}),
        "Trainer, best flags": lambda: trainer(peers.BEST_FLAGS),
        "labtune predicts": ours_predicts,
        "pipeline, default": pipeline_predicts,
        "pipeline, batches of 32 in bfloat16": lambda: pipeline_predicts(batch_size=32, dtype=torch.bfloat16),
    }


def summarise(rounds: list[dict[str, float]], arguments: argparse.Namespace) -> dict[str, Any]:
    """Medians, ratios with their ends, and the share of the processor's rate."""
    medians = {name: statistics.median(row[name] for row in rounds) for name in rounds[0]}
    ratios = {}
    for peer in rounds[0]:
        ours = "labtune trains" if peer.startswith("Trainer") else "labtune predicts"
        if not peer.startswith("labtune"):
            ratios[peer] = common.spread([row[ours] / row[peer] for row in rounds])
    # Six operations a weight and token, forward and backward; embeddings are looked up, not multiplied.
    weights = 6 * 12 * 384**2
    share = medians["labtune trains"] * 6 * weights / common.matmul_rate(torch.bfloat16)
    return {
        "command": " ".join(sys.argv),
        "batch_size": arguments.batch_size,
        "tokens_per_second": medians,
        "labtune_over": ratios,
        "share_of_matmul_rate": share,
        "rounds": rounds,
    }


if __name__ == "__main__":
    main()
