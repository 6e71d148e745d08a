"""Parts of public data sets, small enough that many settings can be measured, the same for every method and seed.

CoNLL-2003: sentences spread over the published parts. PhraseBank (all annotators agree): a shuffle without repeated
sentences, first test, then validation, then training. FLIP's secondary structure: chains spread over the training file,
of which every tenth may validate, and over FLIP's validation file, which is the test part here.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import common

Sizes = Mapping[str, int]  # records by part: train, valid, test


@dataclass(frozen=True)
class Subset:
    """A task on a part of a data set.

    Parameters
    ----------
    task, score, encoder
        What is trained, and what it is judged by.
    write
        Write as many records of each part into a folder; return the files by part.
    settings
        What differs from the task's own, so that methods are compared and nothing else: chains of residues are read by
        a plain linear head, because convolutions on the letters would learn what the encoder does not, whatever the
        method; and words go in without their shapes, which only the method that learns all weights would see.
    """

    task: str
    score: str
    encoder: str
    write: Callable[[Path, Sizes], dict[str, str]]
    settings: Mapping[str, Any] = field(default_factory=dict)


def write_conll(folder: Path, sizes: Sizes) -> dict[str, str]:
    """CoNLL-2003, English."""
    files = {}
    for part, count in sizes.items():
        text = (common.data("text/conll2003_en") / f"{part}.txt").read_text(encoding="utf-8")
        sentences = [block for block in text.split("\n\n") if block.strip() and not block.startswith("-DOCSTART-")]
        files[part] = _write(folder / f"{part}.txt", "\n\n".join(spread(sentences, count)) + "\n")
    return files


def write_phrasebank(folder: Path, sizes: Sizes) -> dict[str, str]:
    """Write the PhraseBank's sentences on whose sentiment all annotators agree."""
    text = common.data("text/financial_phrasebank/Sentences_AllAgree.txt").read_text(encoding="latin-1")
    lines = sorted(set(text.splitlines()))
    random.Random(0).shuffle(lines)
    files, start = {}, 0
    for part in ("test", "valid", "train"):
        chosen = lines[start : start + sizes.get(part, 0)]
        start += HELD_OUT[part]
        if chosen:
            files[part] = _write(folder / f"{part}.txt", "\n".join(chosen) + "\n")
    return files


def write_flip(folder: Path, sizes: Sizes) -> dict[str, str]:
    """Write FLIP's secondary structure, with labels and masks beside the sequences."""
    source = common.data("bio/flip_secondary_structure")
    for kind in ("sequences", "labels_dssp3", "mask"):
        entries = {name: (source / f"{name}.{kind}.fasta").read_text().split(">")[1:] for name in ("train", "val")}
        whole = {
            "train": [entry for number, entry in enumerate(entries["train"]) if number % 10],
            "valid": entries["train"][::10],
            "test": entries["val"],
        }
        for part, count in sizes.items():
            _write(folder / f"{part}.{kind}.fasta", "".join(f">{entry}" for entry in spread(whole[part], count)))
    return {part: str(folder / f"{part}.sequences.fasta") for part in sizes}


def spread(records: Sequence[str], count: int) -> list[str]:
    """Choose records at equal distances."""
    return [records[number * len(records) // count] for number in range(count)]


def _write(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return str(path)


HELD_OUT = {"test": 600, "valid": 450, "train": 0}  # of the PhraseBank, however few of them are used
SHAPELESS = {"encoder_options": {"word_shapes": False}}
PLAIN = {"head": {"name": "token"}, "batch_size": 8}
SUBSETS = {
    "phrasebank": Subset("finance.sentiment", "macro_f1", "minilm", write_phrasebank),
    "conll2003": Subset("ner.conll2003", "entity_f1", "minilm", write_conll, SHAPELESS),
    "secondary_structure": Subset("protein.secondary_structure", "q3", "protein.mini", write_flip, PLAIN),
}
