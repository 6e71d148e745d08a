"""Pre-training: it learns, resumes to the bit, and leaves an encoder that a run takes."""

from __future__ import annotations

import json
import math
import os
import signal

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from labtune.encoder.fresh import fresh_encoder, token_embeddings
from labtune.encoder.loading import load_encoder
from labtune.errors import DataError, EncoderError, RunError, SettingsError
from labtune.pretraining import loop as room
from labtune.pretraining.loop import rate_factor
from labtune.pretraining.masking import Masked
from labtune.pretraining.objective import MaskedLanguageModel
from labtune.pretraining.pretrain import pretrain
from labtune.pretraining.settings import PretrainSettings, resolve_pretraining
from labtune.protocols import IGNORED
from labtune.ragged import Ragged
from labtune.training.interrupts import Interrupted

QUICK = ["step_tokens=512", "batch_tokens=256", "crop=32", "long_crop=48", "valid_share=0.2", "checkpoint_every=4"]


@pytest.fixture(autouse=True)
def _few_held_out(monkeypatch):
    monkeypatch.setattr(room, "VALID_TOKENS", 1024)


def settings(recipe, *sets, steps=12, weights="fresh"):
    flags = {"task": "plain.text", "encoder": str(recipe), "weights": weights, "steps": str(steps)}
    return resolve_pretraining(flags, [*QUICK, "precision=float32", "warmup=2", *sets])


def test_learns_and_leaves_an_encoder(recipe, texts, catalog, tmp_path):
    done = pretrain(
        settings(recipe, "valid_every=30", "learning_rate=5e-3", steps=60),
        [texts],
        out=tmp_path / "out",
        catalog=catalog,
    )
    first, last = done.metrics["curve"]
    assert last["perplexity"] < first["perplexity"] < 260
    assert last["tokens"] > 60 * 400
    encoder = load_encoder(str(tmp_path / "out" / "encoder"), catalog)
    hidden = encoder({"input_ids": Ragged.from_rows([torch.arange(5, 12)])}).values
    assert hidden.shape == (7, 32)
    assert not list((tmp_path / "out").rglob("*.partial"))


def test_resumed_is_the_same_training(recipe, texts, catalog, tmp_path, monkeypatch):
    chosen = settings(recipe, "config.hidden_dropout_prob=0.1", steps=10)
    whole = tmp_path / "whole"
    pretrain(chosen, [texts], out=whole, catalog=catalog)
    step = room.Loop._step

    def interrupted(self, *arguments):
        if self.progress.step == 6:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, *arguments)

    monkeypatch.setattr(room.Loop, "_step", interrupted)
    with pytest.raises(Interrupted):
        pretrain(chosen, [texts], out=tmp_path / "parts", catalog=catalog)
    monkeypatch.setattr(room.Loop, "_step", step)
    pretrain(chosen, [texts], out=tmp_path / "parts", catalog=catalog, resume=True)
    expected, found = (load_file(folder / "encoder" / "model.safetensors") for folder in (whole, tmp_path / "parts"))
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_loss_is_that_of_the_hidden_tokens_alone(recipe, catalog):
    encoder = fresh_encoder(str(recipe), catalog, config={}, seed=0).eval()
    model = MaskedLanguageModel(encoder, token_embeddings(encoder))
    tokens = Ragged.from_rows([torch.arange(5, 25), torch.arange(30, 40)])
    masked = Masked(tokens, torch.tensor([3, 22]), torch.tensor([7, 8]))
    hidden = encoder({"input_ids": tokens}).values[[3, 22]]
    logits = model.head(hidden, encoder.model.get_input_embeddings().weight)
    expected = -sum(logits.log_softmax(-1)[row, token] for row, token in ((0, 7), (1, 8)))
    assert model(masked).item() == pytest.approx(expected.item(), rel=1e-5)


def test_pairs_of_segments(recipe, texts, catalog, tmp_path):
    done = pretrain(settings(recipe, "pairs=next", steps=3), [texts], out=tmp_path / "out", catalog=catalog)
    assert 0 <= done.metrics["curve"][-1]["pair_accuracy"] <= 1


def test_the_loss_of_pairs_is_added_once(recipe, catalog):
    encoder = fresh_encoder(str(recipe), catalog, config={}, seed=0).eval()
    model = MaskedLanguageModel(encoder, token_embeddings(encoder), pairs=True)
    tokens = Ragged.from_rows([torch.arange(5, 25), torch.arange(30, 40)])
    segments = tokens.with_values((torch.arange(30) % 2).long())
    masked = Masked(tokens, torch.tensor([3, 22]), torch.tensor([7, 8]), segments, torch.tensor([1, 0]))
    scores = model.scores(masked)
    expected = F.cross_entropy(scores.words, masked.truth) + F.cross_entropy(scores.pairs, masked.follows)
    assert model(masked).item() / 2 == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("known", [[], [0, 4, 29]])
def test_the_loss_of_labels_is_added_with_its_weight(recipe, catalog, known):
    encoder = fresh_encoder(str(recipe), catalog, config={}, seed=0).eval()
    model = MaskedLanguageModel(encoder, token_embeddings(encoder), labels=3, label_weight=0.5)
    tokens = Ragged.from_rows([torch.arange(5, 25), torch.arange(30, 40)])
    labels = torch.full((30,), IGNORED)
    labels[known] = torch.arange(len(known))
    masked = Masked(tokens, torch.tensor([3, 22]), torch.tensor([7, 8]), labels=labels)
    scores = model.scores(masked)
    expected = F.cross_entropy(scores.words, masked.truth)
    if known:
        expected = expected + 0.5 * F.cross_entropy(scores.labels[known], torch.arange(len(known)))
    assert model(masked).item() / 2 == pytest.approx(expected.item(), rel=1e-5)


def test_going_on_starts_from_the_weights(recipe, texts, catalog, tmp_path):
    pretrain(settings(recipe, "valid_every=200", steps=20), [texts], out=tmp_path / "one", catalog=catalog)
    encoder = tmp_path / "one" / "encoder"
    more = pretrain(
        settings(encoder, "learning_rate=0", weights="trained", steps=1), [texts], out=tmp_path / "two", catalog=catalog
    )
    before = json.loads((tmp_path / "one" / "metrics.json").read_text())["curve"][-1]["perplexity"]
    assert more.metrics["curve"][-1]["perplexity"] == pytest.approx(before, rel=1e-4)


def test_half_precision_weights_are_read_as_whole_ones(recipe, texts, catalog, tmp_path):
    pretrain(settings(recipe, "storage=bfloat16", steps=2), [texts], out=tmp_path / "out", catalog=catalog)
    folder = tmp_path / "out" / "encoder"
    assert {tensor.dtype for tensor in load_file(folder / "model.safetensors").values()} == {torch.bfloat16}
    assert {parameter.dtype for parameter in load_encoder(str(folder), catalog).parameters()} == {torch.float32}


def test_same_seed_same_fresh_weights(recipe, catalog):
    one, same, other = (fresh_encoder(str(recipe), catalog, config={}, seed=seed) for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_rate_rises_stays_and_falls():
    chosen = PretrainSettings(task="t", encoder="e", warmup=9, cooldown=0.5)
    factors = [rate_factor(step, step / 100, chosen) for step in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert set(np.round(factors[9:51], 9)) == {1.0}
    assert factors[75] == pytest.approx(0.5)
    assert rate_factor(100, 1.0, chosen) == 0


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"sets": ["mask_share=2"]}, SettingsError, "mask_share must be a number"),
        ({"sets": ["colour=red"]}, SettingsError, "unknown setting 'colour'"),
        ({"sets": ["config.hidden_size=64"], "weights": "trained"}, SettingsError, "add --weights fresh"),
        ({"sets": ["config.hiden_size=64"]}, SettingsError, "Did you mean 'hidden_size'"),
        ({"recipe": "/nowhere"}, EncoderError, "no component"),
        ({"file": "missing.csv"}, DataError, "no such file"),
        ({"files": []}, DataError, "no file"),
        ({"labelled": True}, SettingsError, "one label a record"),
        ({"labelled": True, "sets": ["pairs=next"]}, SettingsError, "leave pairs at none"),
    ],
)
def test_errors_say_what_to_do(recipe, texts, catalog, tmp_path, change, error, words):
    known = tmp_path / "known.csv"
    known.write_text("text,label\none,a\n")

    def attempt():
        weights = change.get("weights", "fresh")
        chosen = settings(change.get("recipe", recipe), *change.get("sets", []), steps=1, weights=weights)
        files = change.get("files", [tmp_path / change["file"] if "file" in change else texts])
        labelled = [known] if "labelled" in change else []
        pretrain(chosen, files, labelled=labelled, out=tmp_path / "out", catalog=catalog)

    with pytest.raises(error, match=words):
        attempt()
    assert not (tmp_path / "out").exists()


def test_another_training_is_not_overwritten(recipe, texts, catalog, tmp_path):
    pretrain(settings(recipe, steps=1), [texts], out=tmp_path / "out", catalog=catalog)
    with pytest.raises(RunError, match="add --resume"):
        pretrain(settings(recipe, steps=1), [texts], out=tmp_path / "out", catalog=catalog)
    with pytest.raises(RunError, match="crop=32, not 16"):
        pretrain(settings(recipe, "crop=16", steps=1), [texts], out=tmp_path / "out", catalog=catalog, resume=True)


def test_perplexity_of_a_uniform_guess_is_the_vocabulary(recipe, catalog):
    encoder = fresh_encoder(str(recipe), catalog, config={}, seed=0)
    model = MaskedLanguageModel(encoder, token_embeddings(encoder))
    torch.nn.init.zeros_(model.embeddings[0].weight)
    masked = Masked(Ragged.from_rows([torch.arange(5, 15)]), torch.arange(3), torch.tensor([1, 2, 3]))
    assert math.exp(model(masked).item() / 3) == pytest.approx(len(encoder.tokenizer), rel=1e-4)
