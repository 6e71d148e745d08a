"""Designed sequences with labels that follow from a stated rule: the bundled samples, and the examples of every task.

They are nobody's proteins. A sequence is a chain of segments: helices are drawn from letters that favour helices, in
the rhythm of a heptad; strands alternate between two groups of letters; coils are drawn from letters that break both.
The state of a residue is the kind of its segment. One sequence in three opens with a stretch of hydrophobic letters;
then its class is ``membrane``. Otherwise it is ``acidic`` or ``basic`` by the sign of its charge. Its value is the
share of helix, in per cent, plus a tenth of its charge. Every strand pairs with the next one, antiparallel.
"""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from labtune.folder import write_text

HELIX_INSIDE, HELIX_OUTSIDE = "LAMI", "EKQR"
STRAND_INSIDE, STRAND_OUTSIDE = "VIFY", "TSRW"
COIL = "GNPDS"
MEMBRANE = "LIVFA"
HEPTAD = (0, 3, 4)  # positions of seven that look inside
SEPARATION = 6  # residues; nearer pairs are no contacts that are judged
SIZES = {"train": 96, "valid": 24, "test": 24}
FOLDER = Path(__file__).parent / "sample"


@dataclass(frozen=True, slots=True)
class Toy:
    """One designed sequence: its letters, states, class and value."""

    id: str
    sequence: str
    states: str
    kind: str
    value: float


def design(part: str) -> list[Toy]:
    """Design the sequences of ``train``, ``valid`` or ``test``: always the same."""
    rng = random.Random(f"labtune toy {part}")
    return [_design(f"{part}-{number:03d}", number, rng) for number in range(SIZES[part])]


def write_samples(folder: Path) -> None:
    """Write the bundled files: FLIP-like FASTA for residues, tables for sequences."""
    for part in SIZES:
        toys = design(part)
        write_text(folder / f"{part}.sequences.fasta", "".join(f">{toy.id}\n{toy.sequence}\n" for toy in toys))
        write_text(folder / f"{part}.labels.fasta", "".join(f">{toy.id}\n{toy.states}\n" for toy in toys))
        rows = [f"{toy.id},{toy.sequence},{toy.kind},{toy.value:.2f}\n" for toy in toys]
        write_text(folder / f"{part}.csv", "id,sequence,class,value\n" + "".join(rows))
        contacts = [{"id": toy.id, "sequence": toy.sequence, "contacts": hairpins(toy.states)} for toy in toys]
        write_text(folder / f"{part}.contacts.jsonl", "".join(json.dumps(row) + "\n" for row in contacts))


def hairpins(states: str) -> list[list[int]]:
    """Pair every strand with the next one, antiparallel, whatever lies between: ``[i, j]`` at least six apart."""
    strands = [match.span() for match in re.finditer("E+", states)]
    pairs = [
        [start + offset, end - 1 - offset]
        for (start, stop), (begin, end) in pairwise(strands)
        for offset in range(min(stop - start, end - begin))
    ]
    return [[first, second] for first, second in pairs if second - first >= SEPARATION]


def _design(name: str, number: int, rng: random.Random) -> Toy:
    letters, states = [], []
    in_membrane = number % 3 == 0
    if in_membrane:
        letters.append("".join(rng.choice(MEMBRANE) for _ in range(18)))
        states.append("H" * 18)
    for _ in range(rng.randint(3, 6)):
        kind = rng.choice("HE")
        length = rng.randint(8, 15) if kind == "H" else rng.randint(4, 7)
        turn = rng.randint(3, 6)
        letters += [_helix(length, rng) if kind == "H" else _strand(length, rng)]
        letters += ["".join(rng.choice(COIL) for _ in range(turn))]
        states += [kind * length, "C" * turn]
    sequence, written = "".join(letters), "".join(states)
    charge = sum(sequence.count(letter) for letter in "KR") - sum(sequence.count(letter) for letter in "DE")
    kind = "membrane" if in_membrane else "basic" if charge > 0 else "acidic"
    return Toy(name, sequence, written, kind, 100 * written.count("H") / len(written) + charge / 10)


def _helix(length: int, rng: random.Random) -> str:
    inside = (position % 7 in HEPTAD for position in range(length))
    return "".join(rng.choice(HELIX_INSIDE if side else HELIX_OUTSIDE) for side in inside)


def _strand(length: int, rng: random.Random) -> str:
    return "".join(rng.choice(STRAND_OUTSIDE if position % 2 else STRAND_INSIDE) for position in range(length))
