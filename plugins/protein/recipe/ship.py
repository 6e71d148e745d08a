"""Put a pre-trained encoder into the package, with a model card that is written from what the training measured.

python plugins/protein/recipe/ship.py OUT "NAME OF THE DEVICE"
"""

from __future__ import annotations

import json
import math
import shutil
import sys
from pathlib import Path
from typing import Any

from labtune_protein.mini import FOLDER

LIMIT = 16_000_000  # bytes of the weights in a wheel

CARD = """# protein.mini

A masked-language model of protein sequences: ESM-2's architecture (rotary positions, norms before the layers) with
{layers} layers of width {width}, {parameters:,} parameters, stored as bfloat16. Apache-2.0.

It was pre-trained by this project on {tokens:,} tokens ({steps:,} steps) drawn from {records:,} public sequences of
{residues:,} residues. Its held-out perplexity is **{perplexity:.2f}**, and it guesses {accuracy:.1%} of the hidden
residues; frequencies of residues alone give a perplexity of {unigram:.2f}. Larger models trained on more are better at
everything: use this one where no download is possible, and as a start for models of your own.

Half of the sequences are enzymes, most of them bacterial; animals and plants are few. Crops had {crop} residues, and
{long_crop} at the end: distances beyond that were never seen. {valid_share:.0%} of the sequences, chosen by hash, were
held out for perplexity only; they are no test of homology.

Of whole proteins it knows something: where they go in a cell, and when they melt, is told far better from its states
than from those of the same network with fresh weights. Of structure it knows little: the heads for residues and pairs
read the letters themselves, by convolutions that are pre-trained apart, and do almost as well without it. What every
task reaches with it, and without, is in the project's results.

## How it was made

    sh plugins/protein/recipe/pretrain.sh OUT {plan}
    python plugins/protein/recipe/ship.py OUT "{device}"

Seed {seed}; {seconds:,.0f} s on {device}, which did other work
beside, with a corpus that had been built elsewhere. {mask:.0%} of the residues were hidden as in BERT.

## Held-out perplexity

| step | tokens | perplexity | hidden residues guessed |
| --- | --- | --- | --- |
{curve}

## Data

| file | SHA-256 |
| --- | --- |
{sources}
"""


def main() -> None:
    """Copy the encoder and write the card."""
    out, device = Path(sys.argv[1]), sys.argv[2]
    metrics = json.loads((out / "metrics.json").read_text())
    weights = out / "encoder" / "model.safetensors"
    if weights.stat().st_size > LIMIT:
        raise SystemExit(f"{weights} has {weights.stat().st_size:,} bytes; the package takes {LIMIT:,}")
    for path in (out / "encoder").iterdir():
        shutil.copyfile(path, FOLDER / path.name)
    config = json.loads((FOLDER / "config.json").read_text())
    (FOLDER / "MODEL_CARD.md").write_text(CARD.format(**_facts(metrics, config, device)))
    print(f"written: {FOLDER}")


def _facts(metrics: dict[str, Any], config: dict[str, Any], device: str) -> dict[str, Any]:
    settings, data, last = metrics["settings"], metrics["data"], metrics["curve"][-1]
    rows = [
        f"| {point['step']:,} | {point['tokens']:,} | {point['perplexity']:.3f} | {point['accuracy']:.1%} |"
        for point in metrics["curve"]
    ]
    return {
        "layers": config["num_hidden_layers"],
        "width": config["hidden_size"],
        "parameters": metrics["parameters"],
        "tokens": metrics["train"]["tokens"],
        "steps": metrics["train"]["step"],
        "records": data["train"]["records"],
        "residues": data["train"]["tokens"],
        "perplexity": last["perplexity"],
        "accuracy": last["accuracy"],
        "unigram": _unigram(data["valid"]["counts"]),
        "crop": settings["crop"] - 2,
        "long_crop": settings["long_crop"] - 2,
        "valid_share": settings["valid_share"],
        "plan": f"{settings['hours']:.3f}",
        "seed": settings["seed"],
        "seconds": metrics["train"]["seconds"],
        "device": device,
        "mask": settings["mask_share"],
        "curve": "\n".join(rows),
        "sources": "\n".join(f"| {name} | {digest} |" for name, digest in data["sources"].items()),
    }


def _unigram(counts: dict[str, int]) -> float:
    """Perplexity of guessing by the frequencies alone."""
    total = sum(counts.values())
    return math.exp(-sum(count / total * math.log(count / total) for count in counts.values()))


if __name__ == "__main__":
    main()
