"""Teach a head of pairs, on letters, the contacts that families of natural sequences agree on.

    python plugins/protein/recipe/pair_families.py OUT/1 TRAIN VALID 1
    python plugins/protein/recipe/ship_pairs.py OUT/1/run
    python plugins/protein/recipe/pair_families.py OUT/2 TRAIN VALID 2
    python plugins/protein/recipe/ship_pairs.py OUT/1/run OUT/2/run

A network on ``protein.mini`` learns the contacts of known chains, those of ``TRAIN``. It predicts natural sequences of
about the same lengths; its log-odds of contact are averaged over the columns of every family, as those of states are by
homologues.py. To a known chain's homologues, the chain's own contacts are evidence as well. A head learns the outcome
from letters alone. In a later round both start from what the round before shipped.

Needs ``mmseqs``. What OUT has already is kept, and a training that was cut off goes on. ``LABTUNE_DATA`` is the folder
of the public data; the benchmark's ``TRAIN`` and ``VALID`` are written by ``python benchmarks/quality/protein.py
contacts --seeds``, into ``runs/protein/contacts``.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import soft_pairs
import torch
from alignments import Hit, aligned, alignments, once, search, write_natural

import labtune
from labtune.catalog import load_catalog
from labtune.data.batching import token_batches
from labtune.deploy.predictor import Predictor, load
from labtune.specs import Record
from labtune_protein.alphabet import STANDARD
from labtune_protein.contacts import read_contacts
from labtune_protein.fasta import read_fasta
from labtune_protein.pairs.tokenizing import unresolved

PAIRS = "pairs.jsonl"
TEACHER: Mapping[str, Any] = {"method": "lora", "learning_rate": 1e-3, "head_learning_rate": 1e-3, "epochs": 3}
TEACHER_FIRST = {"head_learning_rate": 2e-3, "epochs": 6}  # instead, where heads start from chance
STUDENT: Mapping[str, Any] = {
    "encoder": "protein.letters",
    "method": "head",
    "head_learning_rate": 2e-3,
    "epochs": 1,
    "batch_size": 10,
    "batch_tokens": 768,
}
STUDENT_FIRST = {"epochs": 2}
LENGTHS = range(40, 121)  # residues; those of the chains with contacts
COVERAGE = 0.6
HITS = 200
MEMBERS = 40  # of a family, at most
TOO_CLOSE = 0.95  # identity from which a homologue tells nothing new
# Log-odds that a contact, or none, of a chain adds to its homologues' pairs. Assumed: of a homologue's contacts, three
# in four are the chain's as well, and so is one in 200 of its other pairs. Measured later, over 1,098 alignments of the
# benchmark's training and validation chains: 84% and 1.1%.
NEAR, FAR = float(np.log(0.75 / 0.005)), float(np.log(0.25 / 0.995))
BATCH = 2048  # residues predicted at once


def main() -> None:
    """Make what is missing, one step after the other."""
    out, train, valid, first = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4] == "1"
    out.mkdir(parents=True, exist_ok=True)
    natural, short, chains, pairs = (out / name for name in ("natural.fasta", "short.fasta", "chains.fasta", PAIRS))
    once(natural, write_natural)
    once(short, partial(write_short, natural))
    once(chains, partial(write_chains, train))
    once(out / "short-hits.tsv", partial(search, short, short, hits=HITS, coverage=COVERAGE))
    once(out / "chain-hits.tsv", partial(search, chains, natural, hits=HITS, coverage=COVERAGE))
    teacher, student = {**TEACHER, **(TEACHER_FIRST if first else {})}, {**STUDENT, **(STUDENT_FIRST if first else {})}
    once(out / "teacher", partial(fit, "protein.contact", {"train": train, "valid": valid}, teacher, first))
    once(pairs, partial(label, out, train))
    once(out / "run", partial(fit, soft_pairs.TASK, {"train": pairs, "valid": valid}, student, first))


def fit(task: str, data: Mapping[str, Path], settings: Mapping[str, Any], first: bool, path: Path) -> None:
    """Train, from chance in the first round."""
    catalog = load_catalog({"families": soft_pairs})
    flags = {**settings, "head": {"pretrained": not first}, "audit": "off", "coverage": 0.0}
    labtune.run(task, **data, **flags, out=path, resume=path.exists(), catalog=catalog)


def write_short(natural: Path, path: Path) -> None:
    """Natural sequences of the lengths of chains."""
    with path.open("w") as file:
        for entry in read_fasta(natural):
            if len(entry.text) in LENGTHS and set(entry.text) <= set(STANDARD):
                file.write(f">{entry.id}\n{entry.text}\n")


def write_chains(train: Path, path: Path) -> None:
    """Known chains, without the shortest."""
    records = read_contacts(train, labelled=True)
    path.write_text("".join(f">{one.id}\n{one.input}\n" for one in records if len(one.input) >= LENGTHS.start))


def label(out: Path, train: Path, path: Path) -> None:
    """Predict all members, average over families, and write what they agree on."""
    sequences = {entry.id: entry.text for entry in read_fasta(out / "short.fasta")}
    families = _families(out / "short-hits.tsv")
    known, regions = _regions(out)
    truth = {one.id: one for one in read_contacts(train, labelled=True) if one.id in known}
    members = set(families) | {hit.sequence for hits in families.values() for hit in hits}
    wanted = {name: sequences[name] for name in members} | regions | {name: one.input for name, one in truth.items()}
    print(f"families: {len(families)} and {len(known)} of known chains; sequences {len(wanted)}", flush=True)
    predicted = predict(load(out / "teacher"), wanted)
    with path.open("w") as file:
        for name, hits in families.items():
            _write(file, name, sequences[name], family_odds(predicted[name], hits, predicted))
        for chain, hits in known.items():
            agreed = family_odds(predicted[chain], hits, predicted) + chain_odds(truth[chain])
            for hit in hits:
                odds = predicted[hit.sequence].copy()
                odds[np.ix_(hit.places, hit.places)] = agreed[np.ix_(hit.columns, hit.columns)]
                _write(file, hit.sequence, regions[hit.sequence], odds)


def family_odds(own: np.ndarray, hits: Sequence[Hit], predicted: Mapping[str, np.ndarray]) -> np.ndarray:
    """Average the log-odds of a sequence's pairs and of what is aligned to them: ``(L, L)``."""
    total, count = own.astype(np.float32), np.ones(own.shape, np.float32)
    for hit in hits:
        columns, places = np.ix_(hit.columns, hit.columns), np.ix_(hit.places, hit.places)
        total[columns] += predicted[hit.sequence][places]
        count[columns] += 1
    average: np.ndarray = total / count
    return average


def chain_odds(record: Record) -> np.ndarray:
    """Log-odds that a known chain's contacts add to its homologues' pairs: ``(L, L)``, 0 where not resolved."""
    odds = np.full((len(record.input),) * 2, FAR, np.float32)
    for first, second, _ in record.target:
        odds[first, second] = odds[second, first] = NEAR
    hidden = unresolved(record)
    odds[hidden] = 0
    odds[:, hidden] = 0
    return odds


@torch.inference_mode()
def predict(teacher: Predictor, sequences: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Log-odds of contact of all pairs, symmetric: ``(L, L)`` a sequence."""
    names, found = list(sequences), {}
    lengths = np.array([len(sequences[name]) for name in names])
    for number, rows in enumerate(token_batches(range(len(names)), lengths, BATCH)):
        batch = teacher.parts.tokenizer([Record(names[row], sequences[names[row]]) for row in rows])
        logits = teacher.parts.model(batch).logits
        odds = logits.with_values((logits.values[:, 0] - logits.values[:, 1]).float())
        for place, row in enumerate(rows):
            upper = np.zeros((lengths[row],) * 2, np.float16)
            upper[np.triu_indices(lengths[row], 1)] = odds[place].numpy()
            found[names[row]] = upper + upper.T
        if number % 50 == 0:
            print(f"predicted: {len(found)} of {len(names)}", flush=True)
    return found


def _families(path: Path) -> dict[str, list[Hit]]:
    """Members of every sequence's family but itself."""
    families: dict[str, list[Hit]] = defaultdict(list)
    for row in _distant(path):
        if row["query"] != row["target"] and len(families[row["query"]]) < MEMBERS:
            families[row["query"]].append(Hit(row["target"], *aligned(row)))
    return {name: hits for name, hits in families.items() if hits}


def _regions(out: Path) -> tuple[dict[str, list[Hit]], dict[str, str]]:
    """Of every known chain, the regions of natural sequences that align to it, and their letters."""
    families: dict[str, list[Hit]] = defaultdict(list)
    ends: dict[str, list[tuple[str, int, int]]] = defaultdict(list)
    for row in _distant(out / "chain-hits.tsv"):
        columns, places = aligned(row)
        start, end = int(places[0]), int(places[-1]) + 1
        if len(families[row["query"]]) < MEMBERS and end - start in LENGTHS:
            name = f"{row['target']}/{start}-{end}/{row['query']}"
            families[row["query"]].append(Hit(name, columns, places - start))
            ends[row["target"]].append((name, start, end))
    regions = {
        name: entry.text[start:end]
        for entry in read_fasta(out / "natural.fasta")
        for name, start, end in ends.get(entry.id, ())
    }
    return {name: hits for name, hits in families.items() if hits}, regions


def _distant(path: Path) -> Iterator[dict[str, str]]:
    return (row for row in alignments(path) if float(row["fident"]) <= TOO_CLOSE)


def _write(file: TextIO, name: str, sequence: str, odds: np.ndarray) -> None:
    row = {"id": name, "sequence": sequence, "contacts": [], "odds": soft_pairs.packed(odds)}
    print(json.dumps(row), file=file)


if __name__ == "__main__":
    main()
