"""What comes with the plugin: bundled samples, examples from them, and slices."""

from __future__ import annotations

from pathlib import Path

from labtune.specs import Record

FOLDER = Path(__file__).parent / "sample"
EXAMPLES = 12
LENGTHS = ((100, "to 100 residues"), (300, "101 to 300 residues"), (1022, "301 to 1,022 residues"))


def residue_sample() -> dict[str, Path]:
    """Return the bundled files of labelled residues; see :mod:`labtune_protein.toy`."""
    return {part: FOLDER / f"{part}.sequences.fasta" for part in ("train", "valid", "test")}


def sequence_sample() -> dict[str, Path]:
    """Return the bundled tables of labelled sequences; see :mod:`labtune_protein.toy`."""
    return {part: FOLDER / f"{part}.csv" for part in ("train", "valid", "test")}


def contact_sample() -> dict[str, Path]:
    """Return the bundled tables of contacts; see :mod:`labtune_protein.toy`."""
    return {part: FOLDER / f"{part}.contacts.jsonl" for part in ("train", "valid", "test")}


def state_examples() -> list[Record]:
    """Return sequences with their states; some residues are unresolved."""
    from labtune_protein.reading import read_secondary_structure

    return list(read_secondary_structure(residue_sample()["test"], labelled=True))[:EXAMPLES]


def class_examples() -> list[Record]:
    """Return sequences with a class each."""
    from labtune_protein.reading import read_sequences

    return list(read_sequences(sequence_sample()["test"], labelled=True, target="class"))[:EXAMPLES]


def value_examples() -> list[Record]:
    """Return sequences with a number each."""
    from labtune_protein.toy import design

    return [Record(toy.id, toy.sequence, toy.value, source=f"toy:{toy.id}") for toy in design("test")[:EXAMPLES]]


def set_examples() -> list[Record]:
    """Return sequences with a set of labels each."""
    from labtune_protein.toy import design

    return [
        Record(
            toy.id,
            toy.sequence,
            sorted([toy.kind, *(["long"] if len(toy.sequence) > 80 else [])]),
            source=f"toy:{toy.id}",
        )
        for toy in design("test")[:EXAMPLES]
    ]


def contact_examples() -> list[Record]:
    """Return sequences whose strands pair up; see :mod:`labtune_protein.toy`."""
    from labtune_protein.contacts import read_contacts

    return list(read_contacts(contact_sample()["test"], labelled=True))[:EXAMPLES]


def hydropathy_examples() -> list[Record]:
    """Return sequences with a number a residue: its hydropathy (Kyte and Doolittle 1982)."""
    from Bio.SeqUtils.ProtParamData import kd

    from labtune_protein.toy import design

    return [
        Record(toy.id, toy.sequence, [kd[letter] for letter in toy.sequence], source=f"toy:{toy.id}")
        for toy in design("test")[:EXAMPLES]
    ]


def length_slice(record: Record) -> str:
    """Name the slice of a record by its number of residues."""
    return next((name for limit, name in LENGTHS if len(record.input) <= limit), "over 1,022 residues")
