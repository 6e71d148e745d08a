"""The cases of the protein benchmark: which files, which split, which preset. Prepared once, into a folder."""

from __future__ import annotations

import csv
import gzip
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import common
import numpy as np

from labtune.data.splitting import split_records
from labtune.specs import Record
from labtune_protein.contacts import CUTOFF, contact_record
from labtune_protein.convolution import FAMILIES as CONVOLUTIONS
from labtune_protein.identity import similarity
from labtune_protein.pairs.head import FAMILIES as CONTACTS
from labtune_protein.structure.chains import Chain, distances

Flags = dict[str, Any]
PAIRS = ("separation", "hydropathy", "frequencies")
WITHOUT = ("head.pretrained=false",)
ATTENTION = "labtune_protein.pairs.attention:fit_attention"  # depends on the weights of protein.mini
CONTACT_RADIUS = 10.0  # Å
FRACTIONS = (0.7, 0.15, 0.15)


@dataclass(frozen=True)
class Case:
    """A task on some data.

    Parameters
    ----------
    task, score
        Names of both.
    prepare
        Writes files into a folder and gives the settings that name them.
    baselines
        Targets of further models without an encoder, beside or instead of the task's own.
    head
        Weights that the head starts from, in the package.
    fresh
        Settings of a network that starts from chance throughout: without those weights, and what it wants instead.
    """

    task: str
    prepare: Callable[[Path], Flags]
    score: str
    baselines: Sequence[str] = ()
    head: Path | None = None
    fresh: Sequence[str] = ()

    def prepared(self, folder: Path) -> Flags:
        """Settings of the case; its files are written when they are not there."""
        done = folder / "flags.json"
        if not done.exists():
            folder.mkdir(parents=True, exist_ok=True)
            done.write_text(json.dumps(self.prepare(folder)))
        flags: Flags = json.loads(done.read_text())
        return {**flags, "audit": "off", "coverage": 0.0}


def secondary_structure(folder: Path, chains: int | None = None) -> Flags:
    """FLIP: train without every tenth chain, which validates, or with a few of both; test on its validation split."""
    source = common.data("bio/flip_secondary_structure")
    for kind in ("sequences", "labels_dssp3", "mask"):
        entries = (source / f"train.{kind}.fasta").read_text().split(">")[1:]
        for part, chosen in (("train", range(1, 10)), ("valid", range(1))):
            kept = [entry for number, entry in enumerate(entries) if number % 10 in chosen]
            few = kept[:: len(kept) // (chains or len(kept))][:chains]
            (folder / f"{part}.{kind}.fasta").write_text("".join(f">{entry}" for entry in few))
    files = {part: str(folder / f"{part}.sequences.fasta") for part in ("train", "valid")}
    return {"data": {**files, "test": str(source / "val.sequences.fasta")}}


def disorder(folder: Path) -> Flags:
    """What CASP counts as disorder, residues without coordinates: 972 chains of FLIP, and its validation split."""
    source = common.data("bio/flip_secondary_structure")
    chains = {name: _entries(source / f"{name}.sequences.fasta") for name in ("train", "val")}
    masks = {name: _entries(source / f"{name}.mask.fasta") for name in ("train", "val")}
    known = list(chains["train"])
    for part, ids, name in (
        ("train", known[1::10], "train"),
        ("valid", known[::50], "train"),
        ("test", list(chains["val"]), "val"),
    ):
        labels = {one: masks[name][one].translate(str.maketrans("01", "DO")) for one in ids}
        text = "".join(f">{one} TARGET={labels[one]}\n{chains[name][one]}\n" for one in ids)
        (folder / f"{part}.fasta").write_text(text)
    return {"data": {part: str(folder / f"{part}.fasta") for part in ("train", "valid", "test")}}


def contact_number(folder: Path) -> Flags:
    """Alpha carbons within 10 Å (Pollastri et al. 2002, doi:10.1002/prot.10069), of the chains with contacts."""
    chains = [_chain(path) for path in sorted(common.data("bio/structures_cgdms").glob("*.txt"))]
    records = [Record(chain.id, chain.sequence, _contact_numbers(chain)) for chain in chains]
    parts = _by_identity(records)
    for part, some in parts.items():
        rows = [{"id": one.id, "sequence": one.input, "target": one.target} for one in some]
        (folder / f"{part}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"data": {part: str(folder / f"{part}.jsonl") for part in parts}}


def gb1(folder: Path) -> Flags:
    """FLIP's two-vs-rest with its own validation rows."""
    rows = list(_rows("bio/flip_gb1/two_vs_rest.csv.gz"))
    parts = ["valid" if row["validation"] == "True" else row["set"] for row in rows]
    return _variants(folder, [(row["sequence"], row["target"], part) for row, part in zip(rows, parts, strict=True)])


def avgfp(folder: Path) -> Flags:
    """5,000 training, 1,000 validation and 5,000 test variants, drawn by a seed of their own."""
    rows = list(_rows("bio/dms/avgfp.csv.gz"))
    random.Random(0).shuffle(rows)
    parts = ["train"] * 5000 + ["valid"] * 1000 + ["test"] * 5000
    return _variants(folder, [(row["sequence"], row["score"], part) for row, part in zip(rows, parts, strict=False)])


def meltome(folder: Path) -> Flags:
    """One file, split by identity."""
    rows = list(_rows("bio/flip_meltome/clustered_task.train.csv.gz"))
    records = [Record(str(number), row["sequence"].upper(), float(row["target"])) for number, row in enumerate(rows)]
    parts = _by_identity(records)
    return _tables(folder, {part: [(one.input, one.target) for one in some] for part, some in parts.items()})


def deeploc(folder: Path) -> Flags:
    """Locations of proteins; a share of the training file validates. Those in two places are not among its classes."""
    source = common.data("bio/deeploc")
    entries = (source / "deeploc_our_val_set.fasta").read_text().split(">")[1:]
    test = folder / "test.fasta"
    test.write_text("".join(f">{entry}" for entry in entries if "Cytoplasm-Nucleus" not in entry.partition("\n")[0]))
    return {
        "data": {"train": str(source / "deeploc_test_set.fasta"), "test": str(test)},
        "reader": {"header": "(.+)-[MSU]"},
    }


def contacts(folder: Path) -> Flags:
    """Chains of cgdms, split by identity; coordinates are the PDB's."""
    paths = sorted(common.data("bio/structures_cgdms").glob("*.txt"))
    parts = _by_identity([contact_record(_chain(path), path.stem, (CUTOFF,), str(path)) for path in paths])
    for part, records in parts.items():
        rows = [
            {"id": one.id, "sequence": one.input, "contacts": one.target, "resolved": one.columns["resolved"]}
            for one in records
        ]
        (folder / f"{part}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"data": {part: str(folder / f"{part}.jsonl") for part in parts}}


_residues = partial(Case, head=CONVOLUTIONS, fresh=WITHOUT)
CASES = {
    "secondary_structure": _residues("protein.secondary_structure", secondary_structure, "q3"),
    "secondary_structure_100": _residues("protein.secondary_structure", partial(secondary_structure, chains=100), "q3"),
    "disorder": _residues("protein.residue", disorder, "mcc"),
    "contact_number": _residues("protein.residue_value", contact_number, "spearman"),
    "gb1": Case("protein.property", gb1, "spearman"),
    "avgfp": Case("protein.property", avgfp, "spearman"),
    "meltome": Case("protein.property", meltome, "spearman"),
    "deeploc": Case("protein.class", deeploc, "accuracy"),
    "contacts": Case(
        "protein.contact",
        contacts,
        "p_at_l_long",
        (*(f"labtune_protein.pairs.baselines:fit_{name}" for name in PAIRS), ATTENTION),
        head=CONTACTS,
        fresh=(*WITHOUT, "method=head", "learning_rate=5e-4", "head_learning_rate=2e-3", "epochs=8"),
    ),
}


def _by_identity(records: list[Record]) -> dict[str, list[Record]]:
    return split_records(records, "identity:0.3", FRACTIONS, 0, similarity)


def _entries(path: Path) -> dict[str, str]:
    """What follows each id."""
    entries = (entry.split("\n", 1) for entry in path.read_text().split(">")[1:])
    return {name.split()[0]: text.replace("\n", "") for name, text in entries}


def _rows(name: str) -> Iterator[dict[str, str]]:
    with gzip.open(common.data(name), "rt") as file:
        yield from csv.DictReader(file)


def _variants(folder: Path, rows: list[tuple[str, str, str]]) -> Flags:
    parts = {
        part: [(sequence, value) for sequence, value, other in rows if other == part]
        for part in ("train", "valid", "test")
    }
    return {**_tables(folder, parts), "preset": "variants"}


def _tables(folder: Path, parts: dict[str, list[tuple[str, Any]]]) -> Flags:
    """Write a table for each part."""
    for part, rows in parts.items():
        with (folder / f"{part}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("sequence", "value"), *rows])
    return {"data": {part: str(folder / f"{part}.csv") for part in parts}}


def _contact_numbers(chain: Chain) -> list[float | None]:
    apart = distances(chain.backbone[:, 1])
    near = (apart < CONTACT_RADIUS).sum(1) - 1.0  # not itself
    return [float(count) if known else None for count, known in zip(near, chain.resolved, strict=True)]


def _chain(path: Path) -> Chain:
    """One chain: a line of sequence, a line that is not used, then N, CA, C and a side-chain centre a residue."""
    lines = path.read_text().splitlines()
    numbers = np.array([line.split() for line in lines[2:] if line.strip()], dtype=float).reshape(-1, 4, 3)
    backbone = np.full_like(numbers, np.nan)
    backbone[:, :3] = numbers[:, :3]
    return Chain(path.stem, lines[0].strip(), backbone)
