"""The model card of the bundled encoder says what its trainings measured."""

import importlib.util
from pathlib import Path

import pytest

RECIPE = Path(__file__).parents[1] / "recipe" / "ship.py"


@pytest.fixture(scope="module")
def ship():
    spec = importlib.util.spec_from_file_location("ship", RECIPE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def training(tokens, perplexity, **data):
    settings = {"hours": 0.1, "crop": 256, "long_crop": 512, "valid_share": 0.01, "mask_share": 0.2, "seed": 0}
    return {
        "settings": {**settings, "label_weight": 0.25},
        "parameters": 1000,
        "train": {"tokens": tokens, "step": 10, "seconds": 60.0},
        "curve": [{"step": 10, "tokens": tokens, "perplexity": perplexity, "accuracy": 0.2}],
        "data": {
            "sources": {"a.fasta": "0f"},
            "train": {"records": 3, "tokens": 600},
            "valid": {"counts": {"4": 1, "5": 1}},
            **data,
        },
    }


SHAPE = {"num_hidden_layers": 2, "hidden_size": 8}


def test_tokens_of_all_trainings_count(ship):
    found = ship.card([training(1_000, 14.0), training(2_500, 11.5)], ["a CPU", "a GPU"], SHAPE)
    assert "3,500 tokens" in found
    assert "held-out perplexity is **11.50**" in found
    assert "alone give a perplexity of 2.00" in found
    assert "| 2 | training 1 | 2,500 | 10 | 60 | a GPU |" in found
    assert "| 2 | 10 | 3,500 | 11.500 | 20.0% |" in found
    assert "**Do not" not in found


def test_labels_are_told(ship):
    labelled = {"records": 5, "tokens": 1000, "labelled": 321}
    second = training(2_500, 11.5, labels=["C", "E", "H"], train=labelled)
    found = ship.card([training(1_000, 14.0), second], ["a CPU", "a GPU"], SHAPE)
    assert "321 residues" in found
    assert "with a\nweight of 0.25" in found
    assert "600\nresidues" in found
    assert "pretrain.sh OUT/2 0.100 HOMOLOGUES" in found


def test_labels_are_told_after_a_training_without_any(ship):
    labelled = {"records": 5, "tokens": 1000, "labelled": 321}
    first = training(1_000, 14.0, labels=["C", "E", "H"], train=labelled)
    found = ship.card([first, training(2_500, 11.5)], ["a GPU", "a GPU"], SHAPE)
    assert "321 residues" in found
    assert "**Do not\njudge a model" in found


def test_the_shipped_card_tells_the_chains_that_are_known():
    card = (Path(__file__).parents[1] / "labtune_protein" / "mini" / "MODEL_CARD.md").read_text()
    assert "**Do not\njudge a model that starts from this encoder on those chains**" in card
