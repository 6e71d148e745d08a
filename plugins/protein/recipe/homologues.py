"""Natural sequences with the secondary structure that their families agree on, for families.sh to learn from.

    python plugins/protein/recipe/homologues.py OUT ROUND

A network on letters learns the states of known chains. MMseqs2 aligns natural sequences to the chains; what the network
predicts is averaged over every column of such an alignment, and the chain's true state there counts as well. A family
tells far more than one sequence (Rost and Sander 1993, doi:10.1006/jmbi.1993.1413). The outcome is
``OUT/homologues.fasta``, with states and masks in its headers. Needs ``mmseqs``; what OUT has already is kept.

In round 1 the network starts from chance, in a later one from the convolutions that the round before shipped.

Chains come from the training part of FLIP's secondary structure, without every tenth, which chooses checkpoints in the
benchmark, and without the homologues of structures_cgdms, whose contacts are a benchmark too.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from alignments import BIO, Hit, aligned, alignments, once, search, write_natural

from labtune.catalog import load_catalog
from labtune.data.batching import token_batches
from labtune.deploy.predictor import Predictor, load
from labtune.pipeline import run_settings
from labtune.settings import resolve_settings
from labtune.specs import Record
from labtune_protein.fasta import read_fasta
from labtune_protein.reading import read_secondary_structure

FLIP = BIO / "flip_secondary_structure"
TASK = "protein.secondary_structure"
STATES = "CEH"
TOO_CLOSE = 0.9  # identity from which a homologue is the chain itself: its states would be known by heart
PREDICTED, TRUE = 3.0, 2.0  # weights of the average log-probability, and of the chain's own state, in nats
SURE = 0.6  # probability below which a residue is masked
FIRST = ("head.channels=96", "head.pretrained=false", "head.dropout=0.1", "head_learning_rate=3e-3", "epochs=5")
BATCH = 32_768  # residues predicted at once


def main() -> None:
    """Make what is missing, one step after the other."""
    out, teacher = Path(sys.argv[1]), FIRST if sys.argv[2] == "1" else ()
    out.mkdir(parents=True, exist_ok=True)
    chains, natural = out / "chains.fasta", out / "natural.fasta"
    once(chains, partial(write_chains, out))
    once(natural, write_natural)
    once(out / "teacher", partial(train_teacher, out, teacher))
    once(out / "hits.tsv", partial(search, chains, natural))
    once(out / "homologues.fasta", partial(label, out))


def write_chains(out: Path, path: Path) -> None:
    """Chains with their states, in one file."""
    known = list(read_secondary_structure(FLIP / "train.sequences.fasta", labelled=True))
    records = [record for number, record in enumerate(known) if number % 10]
    (out / "valid.fasta").write_text("".join(_entry(record) for record in known[::10]))
    every, contacts = out / "all.fasta", out / "contacts.fasta"
    every.write_text("".join(f">{record.id}\n{record.input}\n" for record in records))
    files = sorted((BIO / "structures_cgdms").rglob("*.txt"))
    sequences = [(file.stem, file.read_text().split("\n", 1)[0].strip()) for file in files]
    contacts.write_text("".join(f">{name}\n{sequence}\n" for name, sequence in sequences if sequence.isalpha()))
    search(every, contacts, out / "contacts.tsv")
    excluded = {row["query"] for row in alignments(out / "contacts.tsv")}
    print(f"chains: {len(records)}, of which {len(excluded)} have a homologue among the chains with contacts")
    path.write_text("".join(_entry(record) for record in records if record.id not in excluded))


def train_teacher(out: Path, sets: Sequence[str], path: Path) -> None:
    """Fit a network on letters."""
    catalog = load_catalog()
    data = {"train": str(out / "chains.fasta"), "valid": str(out / "valid.fasta")}
    flags = {"data": data, "preset": "letters", "audit": "off"}
    run_settings(resolve_settings(catalog, TASK, flags, sets), out=path, resume=path.exists(), catalog=catalog)


def label(out: Path, path: Path) -> None:
    """Predict all homologues, average over families, and write what they agree on."""
    truth = {record.id: record.target for record in read_secondary_structure(out / "chains.fasta", labelled=True)}
    families: dict[str, list[Hit]] = defaultdict(list)
    for row in alignments(out / "hits.tsv"):
        if float(row["fident"]) < TOO_CLOSE:
            families[row["query"]].append(Hit(row["target"], *aligned(row)))
    wanted = {hit.sequence for hits in families.values() for hit in hits}
    sequences = {entry.id: entry.text for entry in read_fasta(out / "natural.fasta") if entry.id in wanted}
    print(f"families: {len(families)}, natural sequences {len(sequences)}", flush=True)
    predicted = predict(load(out / "teacher"), sequences)
    evidence = {name: np.zeros((len(sequence), len(STATES)), np.float32) for name, sequence in sequences.items()}
    for chain, hits in families.items():
        agreed = family_evidence(truth[chain], hits, predicted)
        for hit in hits:
            evidence[hit.sequence][hit.places] += agreed[hit.columns]
    with path.open("w") as file:
        for name, sequence in sequences.items():
            scores = evidence[name]
            chances = np.exp(scores - scores.max(1, keepdims=True))
            sure = chances.max(1) / chances.sum(1) >= SURE
            best = scores.argmax(1)
            states = [STATES[state] if yes else None for state, yes in zip(best, sure, strict=True)]
            file.write(_entry(Record(name, sequence, states)))


def family_evidence(
    truth: Sequence[str | None], hits: Sequence[Hit], predicted: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Log-probabilities of the states in every column of a chain, not normalised: ``(L, 3)``."""
    total, count = np.zeros((len(truth), len(STATES)), np.float32), np.zeros(len(truth), np.float32)
    for hit in hits:
        total[hit.columns] += predicted[hit.sequence][hit.places]
        count[hit.columns] += 1
    known = np.array([[TRUE * (state == name) for name in STATES] for state in truth], np.float32)
    agreed: np.ndarray = PREDICTED * total / np.maximum(count, 1)[:, None] + known
    return agreed


@torch.inference_mode()
def predict(teacher: Predictor, sequences: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Log-probabilities of the states, in the order of :data:`STATES`, for every residue: ``(L, 3)`` a sequence."""
    names, found = list(sequences), {}
    lengths = np.array([len(sequences[name]) for name in names])
    order = [teacher.parts.labels.names.index(state) for state in STATES]
    for number, rows in enumerate(token_batches(range(len(names)), lengths, BATCH)):
        batch = teacher.parts.tokenizer([Record(names[row], sequences[names[row]]) for row in rows])
        logits = teacher.parts.model(batch).logits
        chances = logits.with_values(logits.values.float().log_softmax(-1)[:, order])
        found.update({names[row]: chances[place].numpy().astype(np.float16) for place, row in enumerate(rows)})
        if number % 100 == 0:
            print(f"predicted: {len(found)} of {len(names)}", flush=True)
    return found


def _entry(record: Record) -> str:
    """In biotrainer's format."""
    states = "".join(state or "X" for state in record.target)
    mask = "".join(str(int(state is not None)) for state in record.target)
    return f">{record.id} TARGET={states} MASK={mask}\n{record.input}\n"


if __name__ == "__main__":
    main()
