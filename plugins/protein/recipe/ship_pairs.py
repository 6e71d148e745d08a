"""Put a head of pairs that families of sequences taught into the package, with a model card from what was measured.

python plugins/protein/recipe/ship_pairs.py RUN [RUN ...]

The runs of all rounds so far; the last one's weights are taken.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import rounds
from safetensors.torch import load_file
from ship_families import convolutions
from torch import Tensor

from labtune_protein.pairs.head import FAMILIES

CARD = """# A head of pairs on letters, taught by families

The weights that `protein.contact` starts its head from: {parameters:,} parameters, stored as bfloat16. Apache-2.0. With
`--set head.pretrained=false` it starts from chance. What they gain is in the project's `docs/results.md`.

A single sequence tells less about its structure than its family does. So a network on `protein.mini`, which had
learned the contacts of {chains:,} known chains, predicted natural sequences of 40 to 120 residues, and regions of
longer ones that align to a known chain. Its log-odds of contact were averaged over the columns of every family (at
most 40 members, none over 95% identical); to homologues of a known chain that chain's own contacts were added as
evidence. The head learned the outcome for {records:,} sequences, from letters alone. In a later round the network
that predicts, and the head that learns, start from what the round before had taught.

{rounds}

The last column says which share of the L likeliest pairs at least 24 apart are contacts in {judged:,} known chains
that were not among those above. The known chains are the training part of `structures_cgdms` in the project's
benchmark: split by identity (0.3), seed 0. **Do not judge a model that starts from these weights on those chains, nor
split them in another way**: their contacts are known to it. The benchmark's validation and test parts are not among
them. Natural relatives of theirs are among the sequences, without contacts.

## How it was made

`TRAIN` and `VALID` are the parts of that split, as files of chains with contacts.

    python plugins/protein/recipe/pair_families.py OUT/1 TRAIN VALID 1
    python plugins/protein/recipe/ship_pairs.py OUT/1/run

and for each further round N

    python plugins/protein/recipe/pair_families.py OUT/N TRAIN VALID N
    python plugins/protein/recipe/ship_pairs.py OUT/1/run … OUT/N/run
"""
HEADER = "| round | residues and end tokens | epochs | seconds | seed | SHA-256 of `pairs.jsonl` | contacts |"
ROW = "| {number} | {tokens:,} | {epochs} | {seconds:,.0f} | {seed} | {sha256} | {score:.1%} |"


def main() -> None:
    """Write weights and card."""
    runs = [Path(argument) for argument in sys.argv[1:]]
    weights = pair_head(load_file(runs[-1] / "model" / "head.safetensors"))
    rounds.write(FAMILIES, weights, card(weights, runs))


def pair_head(head: dict[str, Tensor]) -> dict[str, Tensor]:
    """Take a head on ``protein.letters`` over, with its states, which are letters, joined to the letters."""
    others = {name: value for name, value in head.items() if not name.startswith("convolutions.")}
    return others | {f"convolutions.{name}": value for name, value in convolutions(head).items()}


def card(weights: dict[str, Tensor], runs: Sequence[Path]) -> str:
    """Say what the weights are and how each round went."""
    found = [rounds.facts(run, "p_at_l_long") for run in runs]
    return CARD.format(
        parameters=sum(value.numel() for value in weights.values()),
        chains=rounds.facts(runs[-1].parent / "teacher", "p_at_l_long")["records"],
        records=found[-1]["records"],
        judged=found[-1]["judged"],
        rounds=rounds.table(HEADER, ROW, found),
    )


if __name__ == "__main__":
    main()
