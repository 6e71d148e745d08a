"""Pre-training with labels of residues beside hidden ones, from the command line, and the recipe's evidence."""

from __future__ import annotations

import importlib
import json
import random
from pathlib import Path

import numpy as np
import pytest

from labtune.cli import main

SMALL = ["config.hidden_size=28", "config.num_hidden_layers=1", "config.intermediate_size=32"]
QUICK = ["step_tokens=1024", "batch_tokens=1024", "crop=64", "valid_share=0.2", "valid_every=10", "learning_rate=1e-2"]


@pytest.fixture(scope="module")
def recipe():
    """The script that labels homologues; it is not part of the package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[1] / "recipe")
        return importlib.import_module("homologues")


def test_labels_are_learned_beside_hidden_residues(tmp_path, capsys):
    rng = random.Random(0)
    known, more = tmp_path / "known.fasta", tmp_path / "more.fasta"
    sequences = ["".join(rng.choices("AVKG", k=50)) for _ in range(80)]
    state = {"A": "H", "K": "H", "V": "E", "G": "C"}
    with known.open("w") as file:
        for number, sequence in enumerate(sequences[:60]):
            states = "".join(state[letter] for letter in sequence)
            file.write(f">{number} TARGET={states} MASK={'0' * 5 + '1' * 45}\n{sequence}\n")
    more.write_text("".join(f">{number}\n{sequence}\n" for number, sequence in enumerate(sequences[60:])))
    sets = [part for one in (*SMALL, *QUICK) for part in ("--set", one)]
    command = ["pretrain", "protein.secondary_structure", str(more), "--labelled", str(known)]
    flags = [
        "--encoder",
        "protein.mini",
        "--weights",
        "fresh",
        "--steps",
        "20",
        "--out",
        str(tmp_path / "out"),
        "--json",
    ]
    assert main([*command, *flags, *sets]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["data"]["labels"] == ["C", "E", "H"]
    assert found["data"]["train"]["labelled"] + found["data"]["valid"]["labelled"] == 60 * 45
    first, last = (point["label_accuracy"] for point in found["curve"])
    assert last > 0.7  # the residues that are shown tell their state
    assert first < last


def test_a_family_is_believed_over_one_sequence(recipe):
    """Three homologues say strand where the chain has none of its own; a known state decides between even ones."""
    strand, coil = np.log([[0.1, 0.8, 0.1]]), np.log([[0.8, 0.1, 0.1]])
    predicted = {"a": strand, "b": np.concatenate([coil, strand]), "c": strand}
    places = {"a": [0], "b": [1], "c": [0]}
    hits = [recipe.Hit(name, np.array([2]), np.array(place)) for name, place in places.items()]
    agreed = recipe.family_evidence(["C", "H", None, "H"], hits, predicted)
    assert recipe.STATES[int(agreed[2].argmax())] == "E"
    assert [recipe.STATES[int(row.argmax())] for row in agreed[[0, 1, 3]]] == ["C", "H", "H"]
    even = [recipe.Hit("a", np.array([0]), np.array([0])), recipe.Hit("b", np.array([0]), np.array([0]))]
    assert recipe.STATES[int(recipe.family_evidence(["E"], even, predicted)[0].argmax())] == "E"
    assert recipe.STATES[int(recipe.family_evidence(["C"], even, predicted)[0].argmax())] == "C"


def test_alignments_are_read_column_by_column(recipe):
    row = {"qstart": "3", "tstart": "1", "cigar": "2M1I1M2D2M"}
    columns, places = recipe._aligned(row)
    assert columns.tolist() == [2, 3, 5, 6, 7]
    assert places.tolist() == [0, 1, 2, 5, 6]
