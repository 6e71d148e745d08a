"""Put a pre-trained encoder into the package, with a model card that is written from what the training measured.

python plugins/protein/recipe/ship.py OUT "DEVICE OF THE FIRST STAGE" "DEVICE OF THE SECOND"
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

A language model of protein sequences: ESM-2's architecture (rotary positions, norms before the layers) with {layers}
layers of width {width}, {parameters:,} parameters, stored as bfloat16. Apache-2.0.

This project pre-trained it in two stages. First it learned to predict hidden residues, on {tokens:,} tokens
({steps:,} steps) drawn from {records:,} public sequences of {residues:,} residues. Its held-out
perplexity was then **{perplexity:.2f}**, and it guessed {accuracy:.1%} of the hidden residues; frequencies of residues
alone give a perplexity of {unigram:.2f}. Then it learned also the secondary structure that families of sequences agree
on, from {more_tokens:,} tokens ({more_steps:,} steps) of {more_records:,} of these sequences, in which
{labelled:.0%} of the residues had a label. Larger models trained on more are better at everything: use this one where
no download is possible, and as a start for models of your own.

## What it was taught of structure

A network on letters learned helix, strand and coil of {chains:,} chains: FLIP's training part, without every tenth
chain and without any that has a homologue among those of `structures_cgdms`. MMseqs2 aligned natural sequences to these
chains. What the network predicts, averaged over each column of such an alignment, together with the chain's own state
there, is the label of every residue in the column; unsure ones were left out, and so were sequences that are 90 %
identical to a chain. No label was seen of a chain that chooses or scores anything in this project's results; relatives
of these chains are among the sequences, as they are among those of any protein language model. Of FLIP's training
chains the encoder knows more than of new ones.

Half of the sequences are enzymes, most of them bacterial; animals and plants are few. Crops had {crop} residues, and
{long_crop} at the end of the first stage: distances beyond that were never seen. {valid_share:.0%} of the sequences,
chosen by hash, were held out for the figures below only; they are no test of homology.

What every task reaches with it, and with fresh weights, is in the project's results.

## How it was made

    sh plugins/protein/recipe/pretrain.sh OUT {hours:.3f} {more_hours:.3f}
    python plugins/protein/recipe/ship.py OUT "{device}" "{more_device}"

Seed {seed}. First stage: {seconds:,.0f} s on {device}, which did other work beside, with a corpus that had been built
elsewhere; {mask:.0%} of the residues were hidden as in BERT. Second stage:
{more_seconds:,.0f} s on {more_device}; {more_mask:.0%} were hidden.

## Held-out scores

| stage | step | tokens | perplexity | hidden residues guessed | labels guessed |
| --- | --- | --- | --- | --- | --- |
{curves}

The second stage's figures are of its own, smaller choice of sequences.

## Data

| file | SHA-256 |
| --- | --- |
{sources}
"""


def main() -> None:
    """Copy the encoder and write the card."""
    out, device, more_device = Path(sys.argv[1]), *sys.argv[2:4]
    stages = [json.loads((out / stage / "metrics.json").read_text()) for stage in ("first", "second")]
    encoder = out / "second" / "encoder"
    size = (encoder / "model.safetensors").stat().st_size
    if size > LIMIT:
        raise SystemExit(f"{encoder}: the weights have {size:,} bytes; the package takes {LIMIT:,}")
    for path in encoder.iterdir():
        shutil.copyfile(path, FOLDER / path.name)
    chains = (out / "states" / "chains.fasta").read_text().count(">")
    facts = {**_facts(*stages), "device": device, "more_device": more_device}
    (FOLDER / "MODEL_CARD.md").write_text(CARD.format(**facts, chains=chains))
    print(f"written: {FOLDER}")


def _facts(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    config = json.loads((FOLDER / "config.json").read_text())
    settings, data, last = first["settings"], first["data"], first["curve"][-1]
    more, more_data = second["settings"], second["data"]["train"]
    return {
        "layers": config["num_hidden_layers"],
        "width": config["hidden_size"],
        "parameters": first["parameters"],
        "tokens": first["train"]["tokens"],
        "steps": first["train"]["step"],
        "records": data["train"]["records"],
        "residues": data["train"]["tokens"],
        "perplexity": last["perplexity"],
        "accuracy": last["accuracy"],
        "unigram": _unigram(data["valid"]["counts"]),
        "crop": settings["crop"] - 2,
        "long_crop": settings["long_crop"] - 2,
        "valid_share": settings["valid_share"],
        "hours": settings["hours"],
        "seed": settings["seed"],
        "seconds": first["train"]["seconds"],
        "mask": settings["mask_share"],
        "more_tokens": second["train"]["tokens"],
        "more_steps": second["train"]["step"],
        "more_records": more_data["records"],
        "labelled": more_data["labelled"] / more_data["tokens"],
        "more_hours": more["hours"],
        "more_seconds": second["train"]["seconds"],
        "more_mask": more["mask_share"],
        "curves": "\n".join([*_rows("first", first["curve"]), *_rows("second", second["curve"])]),
        "sources": "\n".join(f"| {name} | {digest} |" for name, digest in data["sources"].items()),
    }


def _rows(stage: str, curve: list[dict[str, float]]) -> list[str]:
    return [
        f"| {stage} | {point['step']:,} | {point['tokens']:,} | {point['perplexity']:.3f} | {point['accuracy']:.1%} | "
        f"{format(point['label_accuracy'], '.1%') if 'label_accuracy' in point else ''} |"
        for point in curve
    ]


def _unigram(counts: dict[str, int]) -> float:
    """Perplexity of guessing by the frequencies alone."""
    total = sum(counts.values())
    return math.exp(-sum(count / total * math.log(count / total) for count in counts.values()))


if __name__ == "__main__":
    main()
