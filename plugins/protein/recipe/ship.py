"""Put a pre-trained encoder into the package, with a model card that is written from what each training measured.

python plugins/protein/recipe/ship.py RUN "NAME OF THE DEVICE" [RUN "NAME OF THE DEVICE" ...]

The trainings that follow one another, from the one that started from chance on; the last one's weights are taken.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from labtune_protein.mini import FOLDER

LIMIT = 16_000_000  # bytes of the weights in a wheel

CARD = """# protein.mini

A masked-language model of protein sequences: ESM-2's architecture (rotary positions, norms before the layers) with
{layers} layers of width {width}, {parameters:,} parameters, stored as bfloat16. Apache-2.0.

It was pre-trained by this project on {tokens:,} tokens drawn from {records:,} public sequences of {residues:,}
residues. Its held-out perplexity is **{perplexity:.2f}**, and it guesses {accuracy:.1%} of the hidden residues;
frequencies of residues alone give a perplexity of {unigram:.2f}. Larger models trained on more are better at
everything: use this one where no download is possible, and as a start for models of your own.

Half of the sequences are enzymes, most of them bacterial; animals and plants are few. Crops had {crop} residues, and
{long_crop} at the end of each training: distances beyond that were never seen. {valid_share:.0%} of the sequences,
chosen by hash, were held out for perplexity only; they are no test of homology.
{labels}
What every task reaches with it, and without, is in the project's results.

## How it was made

{commands}

Seed {seed}; {mask:.0%} of the residues were hidden as in BERT. The corpora had been built elsewhere.

| training | starts from | tokens | steps | seconds | device |
| ---: | --- | ---: | ---: | ---: | --- |
{trainings}

## Held-out perplexity

| training | step | tokens | perplexity | hidden residues guessed |
| ---: | ---: | ---: | ---: | ---: |
{curve}

## Data

| file | SHA-256 |
| --- | --- |
{sources}
"""
LABELS = """
A training with labels also told, from the states, the secondary structure that families of natural sequences agree on:
{labelled:,} residues, taught by known chains as the model card of the convolutions in `families/states/` says, with a
weight of {weight:g} beside hidden residues. Held-out sequences with labels count twice in its perplexity. **Do not
judge a model that starts from this encoder on those chains**, which are FLIP's training part for secondary structure,
without every tenth, and without homologues of the chains of `structures_cgdms`: their states are known to it. FLIP's
validation and test parts are not among them.
"""


def main() -> None:
    """Copy the encoder and write the card."""
    runs, devices = [Path(argument) for argument in sys.argv[1::2]], sys.argv[2::2]
    found = [json.loads((run / "metrics.json").read_text()) for run in runs]
    weights = runs[-1] / "encoder" / "model.safetensors"
    if weights.stat().st_size > LIMIT:
        raise SystemExit(f"{weights} has {weights.stat().st_size:,} bytes; the package takes {LIMIT:,}")
    told = card(found, devices, json.loads((runs[-1] / "encoder" / "config.json").read_text()))
    for path in (runs[-1] / "encoder").iterdir():
        shutil.copyfile(path, FOLDER / path.name)
    (FOLDER / "MODEL_CARD.md").write_text(told)
    print(f"written: {FOLDER}")


def card(runs: Sequence[dict[str, Any]], devices: Sequence[str], config: dict[str, Any]) -> str:
    """Say what the encoder is and how each training went."""
    first, last = runs[0], runs[-1]
    settings, point = last["settings"], last["curve"][-1]
    before = 0
    trainings, curve, commands = [], [], []
    for number, (run, device) in enumerate(zip(runs, devices, strict=True), start=1):
        train, labelled = run["train"], " HOMOLOGUES" if "labels" in run["data"] else ""
        start = "chance" if number == 1 else f"training {number - 1}{', with labels' if labelled else ''}"
        trainings.append(
            f"| {number} | {start} | {train['tokens']:,} | {train['step']:,} | {train['seconds']:,.0f} | {device} |"
        )
        curve += [
            f"| {number} | {at['step']:,} | {before + at['tokens']:,} | {at['perplexity']:.3f} | {at['accuracy']:.1%} |"
            for at in run["curve"]
        ]
        before += train["tokens"]
        commands.append(
            f"    sh plugins/protein/recipe/pretrain.sh OUT/{number} {run['settings']['hours']:.3f}{labelled}"
        )
        shipped = " ".join(f'OUT/{one} "{name}"' for one, name in enumerate(devices[:number], start=1))
        commands.append(f"    python plugins/protein/recipe/ship.py {shipped}")
    taught = [run for run in runs if "labels" in run["data"]]  # a later training without labels does not undo it
    return CARD.format(
        layers=config["num_hidden_layers"],
        width=config["hidden_size"],
        parameters=last["parameters"],
        tokens=before,
        records=first["data"]["train"]["records"],
        residues=first["data"]["train"]["tokens"],
        perplexity=point["perplexity"],
        accuracy=point["accuracy"],
        unigram=_unigram(first["data"]["valid"]["counts"]),
        crop=settings["crop"] - 2,
        long_crop=settings["long_crop"] - 2,
        valid_share=settings["valid_share"],
        labels=_labels(taught[-1]) if taught else "",
        commands="\n".join(commands),
        seed=settings["seed"],
        mask=settings["mask_share"],
        trainings="\n".join(trainings),
        curve="\n".join(curve),
        sources="\n".join(f"| {name} | {digest} |" for name, digest in last["data"]["sources"].items()),
    )


def _labels(run: dict[str, Any]) -> str:
    """Say what else was learned, and from which chains."""
    return LABELS.format(labelled=run["data"]["train"]["labelled"], weight=run["settings"]["label_weight"])


def _unigram(counts: dict[str, int]) -> float:
    """Perplexity of guessing by the frequencies alone."""
    total = sum(counts.values())
    return math.exp(-sum(count / total * math.log(count / total) for count in counts.values()))


if __name__ == "__main__":
    main()
