"""Put convolutions that families of sequences taught into the package, with a model card from what was measured.

python plugins/protein/recipe/ship_families.py RUN [RUN ...]

The runs of all rounds so far; the last one's weights are taken.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import rounds
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from labtune_protein.alphabet import STANDARD
from labtune_protein.convolution import FAMILIES
from labtune_protein.vocabulary import SYMBOLS

CARD = """# Convolutions on letters, taught by families

The weights that `protein.secondary_structure`, `protein.residue` and `protein.residue_value` start their convolutions
along the chain from: {parameters:,} parameters, stored as bfloat16. Apache-2.0. With `--set head.pretrained=false`
they start from chance. What they gain for secondary structure, disorder and contact numbers is in the project's
`docs/results.md`. In one trial contacts of distant residues did not gain, so `protein.contact` does without.

A single sequence tells less about its structure than its family does. So a network on letters predicted the states
(helix, strand, coil) of {records:,} natural sequences; the predictions were averaged over every column of their
alignments to chains of known structure, together with the chain's true state (Rost and Sander 1993,
doi:10.1006/jmbi.1993.1413). These convolutions learned the outcome from single sequences, in one pass a round. The
network that predicts starts from chance in the first round, and from the convolutions of the round before in a later
one.

{rounds}

The last column says how many of the states they predict of {judged:,} chains of known structure that were not among
those behind the families, which are FLIP's training part for secondary structure, without every tenth, and without
homologues of the chains of `structures_cgdms`. **Do not judge a model that starts from these weights on those chains**:
their states are known to it. FLIP's validation and test parts are not among them.

## How it was made

    sh plugins/protein/recipe/families.sh OUT/1 1
    python plugins/protein/recipe/ship_families.py OUT/1/run

and for each further round N

    sh plugins/protein/recipe/families.sh OUT/N N
    python plugins/protein/recipe/ship_families.py OUT/1/run … OUT/N/run
"""
HEADER = "| round | residues and end tokens | seconds of one core | seed | SHA-256 of `homologues.fasta` | states |"
ROW = "| {number} | {tokens:,} | {seconds:,.0f} | {seed} | {sha256} | {score:.1%} |"


def main() -> None:
    """Write weights and card."""
    runs = [Path(argument) for argument in sys.argv[1:]]
    weights = convolutions(load_file(runs[-1] / "model" / "head.safetensors"))
    rounds.write(FAMILIES, weights, card(weights, runs))


def convolutions(head: dict[str, Tensor]) -> dict[str, Tensor]:
    """Take the convolutions out of a head on ``protein.letters``, whose states are letters: they join the embedding."""
    prefix = "convolutions."
    found = {name.removeprefix(prefix): value for name, value in head.items() if name.startswith(prefix)}
    states = {name: found.pop(name) for name in ("norm.weight", "norm.bias", "states.weight", "states.bias")}
    tokens = torch.tensor([SYMBOLS.index(letter) for letter in (*STANDARD, "X")])
    shown = F.layer_norm(
        F.one_hot(tokens, len(SYMBOLS)).float(), (len(SYMBOLS),), states["norm.weight"], states["norm.bias"]
    )
    found["letters.weight"] = found["letters.weight"] + F.linear(shown, states["states.weight"], states["states.bias"])
    return found


def card(weights: dict[str, Tensor], runs: Sequence[Path]) -> str:
    """Say what the weights are and how each round went."""
    found = [rounds.facts(run, "q3") for run in runs]
    return CARD.format(
        parameters=sum(value.numel() for value in weights.values()),
        records=found[-1]["records"],
        judged=found[-1]["judged"],
        rounds=rounds.table(HEADER, ROW, found),
    )


if __name__ == "__main__":
    main()
