"""What the audit of 100,000 real records takes, and what it finds of faults that are planted in them.

Text: sentences of eight public data sets. Sequences: real proteins cut in pieces of 150 residues, compared by sequence
identity, with MMseqs2 or (``--built-in``) without. Faults of every kind are planted in a hundred records each. Found
are those that are told of; false alarms are records that are told of with the plants, are neither a plant nor what it
was made from, and were not told of without.

    python benchmarks/evaluation/audit.py text
    python benchmarks/evaluation/audit.py sequences
    python benchmarks/evaluation/audit.py sequences --built-in
    python benchmarks/evaluation/audit.py noise
"""

from __future__ import annotations

import argparse
import csv
import gzip
import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import common
import numpy as np

from labtune.catalog import load_catalog, resolve
from labtune.data import audit as auditing
from labtune.data.dataset import load_records
from labtune.data.labels import resolve_labels
from labtune.evaluation.baselines import fitter
from labtune.evaluation.noise import cross_validated, suspects
from labtune.specs import Labels, Record

SIZE = 100_000
PLANTS = 100  # of each kind
PIECE = 150  # residues
OTHERS = 20_000  # proteins of many organisms
RESIDUES, LETTERS = "ACDEFGHIKLMNPQRSTVWY", "abcdefghijklmnopqrstuvwxyz"
Parts = dict[str, list[Record]]


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["text", "sequences", "noise"])
    parser.add_argument("--records", type=int, default=SIZE)
    parser.add_argument("--built-in", action="store_true", help="compare sequences without MMseqs2")
    parser.add_argument("--dry", action="store_true", help="write nothing")
    arguments = parser.parse_args()
    if arguments.built_in:
        os.environ["PATH"] = ""  # nowhere to find it
    found = noise() if arguments.what == "noise" else measure(arguments.what, arguments.records)
    print(found)
    if not arguments.dry:
        size = "" if arguments.records == SIZE else f" --records {arguments.records}"
        command = f"benchmarks/evaluation/audit.py {arguments.what}{size}{' --built-in' * arguments.built_in}"
        name = f"audit-{arguments.what}{'-built-in' * arguments.built_in}"
        print("written:", common.write(name, {"command": command, **found}))


def measure(what: str, size: int) -> dict[str, Any]:
    """Audit records as they are, then with faults."""
    rng = random.Random(0)
    inputs = list(dict.fromkeys(sentences() if what == "text" else pieces()))
    rng.shuffle(inputs)
    clean = dealt(inputs[:size], rng)
    similarity = resolve("labtune_protein.identity:similarity") if what == "sequences" else None
    faulty, planted = plant(clean, rng, LETTERS if what == "text" else RESIDUES)
    before, _ = told(clean, similarity)
    after, seconds = told(faulty, similarity)
    involved = set.union(*planted.values()) | {name.partition("|")[2] for ids in planted.values() for name in ids}
    kinds = {
        kind: {
            "planted": len(ids),
            "found": len(ids & after.get(kind, set())),
            "false_alarms": len(after.get(kind, set()) - before.get(kind, set()) - involved - ids),
            "in_the_data": len(before.get(kind, set())),
        }
        for kind, ids in planted.items()
    }
    return {"records": sum(map(len, faulty.values())), "seconds": seconds, "kinds": kinds}


def told(parts: Parts, similarity: Any) -> tuple[dict[str, set[str]], dict[str, float]]:
    """Ids of all records that are told of, by kind, and what it took."""
    auditing.EXAMPLES = sys.maxsize
    labels = Labels(kind="classes", names=tuple(sorted({record.target for some in parts.values() for record in some})))
    began = clocks()
    findings = auditing.audit(parts, labels, similarity=similarity)
    return {finding.kind: set(finding.ids) for finding in findings}, since(began)


def clocks() -> dict[str, float]:
    """Seconds by the clock, and of processors: of this process and those that it started and that ended."""
    return {"wall": time.perf_counter(), "processor": sum(os.times()[:4])}


def since(began: dict[str, float]) -> dict[str, float]:
    """Seconds that passed."""
    return {name: seconds - began[name] for name, seconds in clocks().items()}


def dealt(inputs: Sequence[str], rng: random.Random) -> Parts:
    """Eight tenths for training and a tenth each for the others, with one of five classes and a group."""
    records = [
        Record(f"r{row}", text, f"class {rng.randrange(5)}", group=f"g{row // 10}") for row, text in enumerate(inputs)
    ]
    first, second = 8 * len(records) // 100 * 10, 9 * len(records) // 100 * 10  # groups of ten are not parted
    return {"train": records[:first], "valid": records[first:second], "test": records[second:]}


def plant(parts: Parts, rng: random.Random, alphabet: str) -> tuple[Parts, dict[str, set[str]]]:
    """Return the records with faults, and the ids of the faulty ones by kind."""
    train, test = list(parts["train"]), list(parts["test"])
    planted: dict[str, set[str]] = {}
    sources = iter(rng.sample([record for record in train if len(record.input) > 60], 6 * PLANTS))

    def add(kind: str, to: list[Record], records: Iterator[Record], name: str = "") -> None:
        chosen = [replace(record, id=f"{kind}|{record.id}") for record in records]
        planted[kind] = planted.get(kind, set()) | {record.id for record in chosen}
        to += chosen

    def take() -> Iterator[Record]:
        return (next(sources) for _ in range(PLANTS))

    alone, glue = {"group": None}, " " if alphabet == LETTERS else ""
    add("duplicates_across", test, (replace(record, **alone) for record in take()))
    add("duplicates_within", train, (replace(record, **alone) for record in take()))
    add("near_duplicates_across", test, (replace(r, input=changed(r.input, rng, alphabet), **alone) for r in take()))
    add("near_duplicates_within", train, (replace(r, input=changed(r.input, rng, alphabet), **alone) for r in take()))
    add(
        "contradicting_labels",
        train,
        (replace(r, target=f"class {(int(r.target[-1]) + 1) % 5}", **alone) for r in take()),
    )
    add(
        "unusual_lengths",
        train,
        (replace(r, input=glue.join([shuffled(r.input, rng) for _ in range(100)])) for r in take()),
    )
    add("empty_inputs", train, (Record(str(row), "  ", f"class {row % 5}") for row in range(PLANTS)))
    groups = rng.sample(sorted({record.group for record in train if record.group}), PLANTS)
    test += [Record(f"group-{g}", shuffled(rng.choice(parts["train"]).input, rng), "class 0", group=g) for g in groups]
    planted["groups_across"] = set(groups)
    train += [Record(f"rare-{row}", shuffled(rng.choice(parts["train"]).input, rng), "rare") for row in range(5)]
    return {**parts, "train": train, "test": test}, planted


def changed(text: str, rng: random.Random, alphabet: str) -> str:
    """Change one or two characters in a hundred."""
    places = rng.sample(range(len(text)), max(1, round(len(text) * rng.uniform(0.01, 0.02))))
    others = {place: alphabet.replace(text[place].lower(), "").replace(text[place], "") for place in places}
    return "".join(rng.choice(others[place]) if place in others else letter for place, letter in enumerate(text))


def shuffled(text: str, rng: random.Random) -> str:
    """A text of the same characters."""
    return "".join(rng.sample(text, len(text)))


def sentences() -> Iterator[str]:
    """Sentences of the public text data sets."""
    for file in ("conll2003_en/train.txt", "conll2003_en/valid.txt", "conll2003_en/test.txt"):
        yield from of_words(file, " ")
    for name in ("bc2gm", "bc5cdr"):
        for part in ("train", "devel", "test"):
            yield from of_words(f"{name}/{part}.tsv", "\t")
    for file in (
        "fin_headlines_2020/guardian_headlines.csv",
        "sentfin/SEntFiN.csv",
        "banking77/train.csv",
        "banking77/test.csv",
    ):
        yield from of_cells(file)
    for file in ("stockemotions/train_stockemo.csv", "stockemotions/val_stockemo.csv"):
        yield from of_cells(file)
    text = common.data("text/financial_phrasebank/Sentences_50Agree.txt").read_text(encoding="latin-1")
    yield from (line.rpartition("@")[0] for line in text.splitlines())


def of_words(file: str, gap: str) -> Iterator[str]:
    """Sentences of a file with a word a line."""
    words: list[str] = []
    for line in common.data(f"text/{file}").read_text(encoding="utf-8").splitlines():
        if line.strip():
            words.append(line.split(gap)[0])
        elif words:
            yield " ".join(words)
            words = []


def of_cells(file: str) -> Iterator[str]:
    """The longest cell of each row of a table."""
    with common.data(f"text/{file}").open(encoding="utf-8", errors="replace", newline="") as lines:
        yield from (max(row, key=len).strip() for row in csv.reader(lines) if any(row))


def pieces() -> Iterator[str]:
    """Pieces of real proteins: whole proteomes, and what is missing of many other organisms."""
    texts = [file.read_text() for file in sorted(common.data("bio/protein_sequences").glob("*.fasta"))]
    with gzip.open(common.data("bio/protein_text/part-00.fasta.gz"), "rt") as file:
        texts.append("".join(islice(file, 2 * OTHERS)))  # a line of name and one of sequence
    for entry in "".join(texts).split(">")[1:]:
        sequence = "".join(entry.splitlines()[1:])
        yield from (sequence[start : start + PIECE] for start in range(0, len(sequence) - PIECE + 1, PIECE))


def noise() -> dict[str, Any]:
    """Exchange the labels of one in twenty sentences of PhraseBank on which all annotators agree."""
    catalog, rng = load_catalog(), random.Random(0)
    task = catalog.task("finance.sentiment")
    file = common.data("text/financial_phrasebank/Sentences_AllAgree.txt")
    records = load_records(task, file, labelled=True, options={})
    labels = resolve_labels(task.labels, records)
    wrong = set(rng.sample(range(len(records)), len(records) // 20))
    noisy = [
        replace(record, target=rng.choice([name for name in labels.names if name != record.target]))
        if row in wrong
        else record
        for row, record in enumerate(records)
    ]
    given = [labels.names.index(record.target) for record in noisy]
    began = clocks()
    chances = cross_validated(noisy, labels, fitter(task))
    rows = suspects(chances, np.array(given)).tolist()
    taken = since(began)
    first = set(rows[: len(wrong)])
    return {
        "records": len(records),
        "seconds": taken,
        "planted": len(wrong),
        "told": len(rows),
        "found": len(wrong & set(rows)),
        "found_among_the_first": len(wrong & first),
    }


if __name__ == "__main__":
    main()
