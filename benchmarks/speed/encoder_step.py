"""Real tokens a second through an encoder, forward and backward: packed against padded, 32 against 16 bits.

Usage: ``python benchmarks/speed/encoder_step.py [--encoder minilm] [--tokens 1024 2048 4096] [--json OUT]``

Record lengths are those of CoNLL-2003's test sentences when the data is there, else drawn from a log-normal
distribution like theirs. Cases take turns and the median of each is reported, so that other load hits all alike.
``share`` is the encoder's matrix arithmetic against the best measured rate of the processor's matrix product.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from labtune.catalog import load_catalog
from labtune.encoder.base import Encoder
from labtune.encoder.loading import load_encoder
from labtune.ragged import Ragged

DATA = Path(os.environ.get("LABTUNE_DATA", "../shared/data")) / "text/conll2003_en/test.txt"
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def sentence_lengths(tokenizer: Any) -> list[int]:
    """Lengths in tokens, in the order of the file."""
    if not DATA.is_file():
        torch.manual_seed(0)
        drawn = torch.distributions.LogNormal(2.85, 0.65).sample((3000,))
        return [int(length) for length in drawn.clamp(3, 160)]
    sentences, words = [], []
    for line in DATA.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("-DOCSTART-"):
            words.append(line.split()[0])
        elif words:
            sentences.append(" ".join(words))
            words = []
    return [len(ids) for ids in tokenizer(sentences)["input_ids"]]


def batches(lengths: list[int], budget: int, vocabulary: int) -> Iterator[Ragged]:
    """Batches of random tokens, filled up to the budget in random order, endlessly."""
    generator = torch.Generator().manual_seed(0)
    chosen: list[int] = []
    while True:
        for index in torch.randperm(len(lengths), generator=generator).tolist():
            if sum(chosen) + lengths[index] > budget:
                yield Ragged.from_rows([torch.randint(5, vocabulary, (n,), generator=generator) for n in chosen])
                chosen = []
            chosen.append(lengths[index])


def matmul_rate(dtype: torch.dtype) -> float:
    """Best rate of a matrix product of the encoder's own kind, in floating-point operations a second."""
    x, w = torch.randn(4096, 384, dtype=dtype), torch.randn(384, 1536, dtype=dtype)
    seconds = []
    for _ in range(20):
        start = time.perf_counter()
        x @ w
        seconds.append(time.perf_counter() - start)
    return 2 * 4096 * 384 * 1536 / min(seconds)


def step(encoder: Encoder, batch: Ragged, dtype: torch.dtype, train: bool) -> None:
    """One forward pass, and the backward pass of a scalar when training."""
    precision = torch.autocast("cpu", dtype) if dtype != torch.float32 else nullcontext()
    encoder.train(train)
    with torch.set_grad_enabled(train), precision:
        hidden = encoder({"input_ids": batch}).values
    if train:
        hidden.float().square().mean().backward()
        encoder.zero_grad(set_to_none=True)


def measure(cases: dict[str, Callable[[Ragged], None]], stream: Iterator[Ragged], rounds: int) -> dict[str, float]:
    """Median tokens a second of each case; every round gives one batch to all of them."""
    rates: dict[str, list[float]] = {name: [] for name in cases}
    for turn in range(rounds + 1):
        batch = next(stream)
        for name, run in cases.items():
            start = time.perf_counter()
            run(batch)
            if turn:  # the first round warms up
                rates[name].append(len(batch.values) / (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in rates.items()}


def cases_of(name: str) -> dict[str, Callable[[Ragged], None]]:
    """What is compared."""
    cases: dict[str, Callable[[Ragged], None]] = {}
    for layout in ("packed", "padded"):
        encoder = load_encoder(name, load_catalog(), dropout=0.1, options={"packed": layout == "packed"})
        for precision, dtype in PRECISIONS.items():
            for train in (True, False):
                kind = "train" if train else "predict"
                cases[f"{layout} {precision} {kind}"] = lambda b, e=encoder, d=dtype, t=train: step(e, b, d, t)
    return cases


def main() -> None:
    """Measure and print one table and, where asked for, one JSON file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--tokens", type=int, nargs="+", default=[1024, 2048, 4096])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    encoder = load_encoder(options.encoder, load_catalog())
    layers = sum(p.numel() for block in encoder.blocks for p in block.parameters())
    lengths = sentence_lengths(encoder.tokenizer)
    vocabulary = len(encoder.tokenizer)
    peak = {name: matmul_rate(dtype) for name, dtype in PRECISIONS.items()}
    results: dict[str, Any] = {
        "machine": platform.processor() or platform.machine(),
        "threads": options.threads,
        "encoder": options.encoder,
        "lengths": "conll2003 test" if DATA.is_file() else "log-normal",
        "matmul": peak,
        "tokens_per_second": {},
    }
    cases = cases_of(options.encoder)
    for budget in options.tokens:
        rates = measure(cases, batches(lengths, budget, vocabulary), options.rounds)
        results["tokens_per_second"][budget] = rates
        print(f"batches of {budget} tokens")
        for name, rate in rates.items():
            _, precision, kind = name.split()
            share = rate * layers * (6 if kind == "train" else 2) / peak[precision]
            print(f"  {name:26} {rate:8.0f} tokens/s   share {share:4.0%}")
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
