"""Pre-training with labels of residues beside hidden ones, from the command line."""

from __future__ import annotations

import json
import random

from labtune.cli import main

SMALL = ["config.hidden_size=28", "config.num_hidden_layers=1", "config.intermediate_size=32"]
QUICK = ["step_tokens=1024", "batch_tokens=1024", "crop=64", "valid_share=0.2", "valid_every=10", "learning_rate=1e-2"]


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
