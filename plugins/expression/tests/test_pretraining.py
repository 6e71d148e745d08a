"""Genes are hidden and learned, and what was learned goes into a run with its vocabulary."""

import json

import pytest

import labtune
from labtune.catalog import load_catalog
from labtune.errors import DataError, EncoderError
from labtune.pretraining.pretrain import pretrain
from labtune.pretraining.settings import resolve_pretraining
from labtune_expression.cells.data import SAMPLE

OPTIONS = {
    "task": "expression.cell_type",
    "encoder": "expression.set",
    "weights": "fresh",
    "steps": 12,
    "step_tokens": 1024,
    "batch_tokens": 1024,
    "warmup": 2,
    "valid_share": 0.1,
    "tokenizer": {"name": "expression.ranks", "genes": 40, "length": 30},
    "config": {"genes": 40, "width": 16, "heads": 2, "layers": 1},
}


def learn(out, resume=False, **options):
    settings = resolve_pretraining({**OPTIONS, **options})
    return pretrain(settings, [SAMPLE], out=out, catalog=load_catalog(), resume=resume)


def test_hidden_genes_are_learned_and_fine_tuned(tmp_path):
    done = learn(tmp_path / "cells", learning_rate=1e-2, valid_every=6)
    first, last = (point["perplexity"] for point in done.metrics["curve"])
    assert last < first < 60
    options = {"preset": "ranks", "epochs": 1, "audit": "off"}
    labtune.run("expression.cell_type", encoder=str(tmp_path / "cells/encoder"), out=tmp_path / "run", **options)
    kept = json.loads((tmp_path / "run/model/tokenizer.json").read_text())
    assert len(kept["genes"]["names"]) == 40  # the preset alone would have learned all of them
    assert labtune.load(tmp_path / "run").parts.model.encoder.width == 16


def test_going_on_gives_the_same_weights(tmp_path):
    learn(tmp_path / "whole", steps=4, checkpoint_every=2)
    learn(tmp_path / "part", steps=4, checkpoint_every=2)
    for path in (tmp_path / "part/checkpoints").glob("step-*4"):
        for file in path.iterdir():
            file.unlink()
        path.rmdir()
    learn(tmp_path / "part", steps=4, checkpoint_every=2, resume=True)
    name = "encoder/encoder.safetensors"
    assert (tmp_path / "part" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_what_cannot_be_pre_trained_is_named(tmp_path):
    with pytest.raises(EncoderError, match="add --weights fresh"):
        learn(tmp_path / "a", weights="trained", config={})
    with pytest.raises(EncoderError, match="no embeddings to predict"):
        learn(tmp_path / "b", encoder="expression.normalised", config={})
    with pytest.raises(DataError, match="makes features"):
        learn(tmp_path / "c", tokenizer={})
    with pytest.raises(DataError, match="gives levels too"):
        learn(tmp_path / "d", tokenizer={"name": "expression.bins", "genes": 40})
    assert not list(tmp_path.iterdir())
