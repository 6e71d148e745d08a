"""Gradients add up and agree with captum on embeddings; substitution is what predicting by hand gives."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from labtune.encoder.base import Encoder
from labtune.encoder.fading import fading, without_fade
from labtune.errors import SettingsError
from labtune.explain.attribution import by_gradients, by_substitution
from labtune.explain.explaining import explainer
from labtune.explain.scoring import Scorer
from labtune.protocols import Batch, Output
from labtune.ragged import Ragged
from labtune.specs import Labels, Record

captum = pytest.importorskip("captum.attr")
RECORD = Record("r", "operating profit rose sharply")


def test_gradients_add_up_to_the_way_from_a_blank_record(scorer):
    (found,) = by_gradients(scorer, RECORD, None, steps=64)
    batch = scorer.tokenise([RECORD])
    ids = batch.tokens.values.clone()
    ids[batch.prefix : len(ids) - batch.suffix] = scorer.tokenizer.vocabulary.mask_token_id
    blank = replace(batch, inputs={**batch.inputs, "input_ids": batch.tokens.with_values(ids)})
    output = scorer.names.index(found.output)
    way = found.score - scorer.score_batch(blank)[0, output]
    assert found.attributions.sum() == pytest.approx(way, rel=1e-3, abs=1e-5)
    assert found.gap < 1e-2
    assert "".join(found.pieces) == RECORD.input  # the tiny vocabulary has a token a byte


class Toy(Encoder):
    """Four embeddings that meet in a product, so that the way matters."""

    width, fades, blank = 3, True, (0,)

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.words = nn.Embedding(5, 3)
        self.mix = nn.Linear(3, 3)

    def forward(self, inputs):
        rest, fade = without_fade(inputs)
        ids = rest["input_ids"]
        with fading(self.words, None if fade is None else fade.values, self.blank):
            return ids.with_values(self.hidden(self.words(ids.values), ids))

    def hidden(self, embedded, ids):
        mean = ids.with_values(embedded).mean()[ids.segment_ids]
        return torch.tanh(self.mix(embedded)) * mean


class Sum(nn.Module):
    def forward(self, hidden, batch):
        return Output(Ragged.one_per_row(hidden.mean()[:, :1]))


def toy_scorer() -> tuple[Scorer, Toy]:
    encoder = Toy().eval()
    model = nn.Module()
    model.encoder, model.head = encoder, Sum()
    model.encode = lambda batch: encoder(batch.inputs)

    def tokenizer(records):
        rows = [[int(letter) for letter in record.input] for record in records]
        return Batch(records, {"input_ids": Ragged.from_rows(rows, dtype=torch.long)})

    parts = SimpleNamespace(
        labels=Labels(kind="values", names=("value",)),
        tokenizer=tokenizer,
        model=model,
        task=SimpleNamespace(name="toy.sum"),
    )
    settings = SimpleNamespace(batch_tokens=64)
    return Scorer(SimpleNamespace(parts=parts, device="cpu", settings=settings)), encoder


def test_fading_tokens_is_captum_on_their_embeddings():
    scorer, encoder = toy_scorer()
    ids = torch.tensor([1, 4, 2, 2, 3])
    found = by_gradients(scorer, Record("r", "14223"), None, steps=50)[0]

    def forward(embedded):  # (K, T, C)
        batch = Ragged.from_rows([ids] * len(embedded), dtype=torch.long)
        return batch.with_values(encoder.hidden(embedded.flatten(0, 1), batch)).mean()[:, 0]

    embedded = encoder.words(ids)[None].detach()
    baseline = encoder.words(torch.zeros_like(ids))[None].detach()
    expected = captum.IntegratedGradients(forward).attribute(embedded, baseline, n_steps=50).sum(-1)[0]
    np.testing.assert_allclose(found.attributions, expected.numpy(), rtol=1e-4, atol=1e-6)
    assert found.pieces == tuple("14223")


def test_hiding_tokens_is_predicting_without_them(scorer):
    (found,) = by_substitution(scorer, RECORD, "positive")
    assert found.symbols == ("hidden",)
    batch = scorer.tokenise([RECORD])
    for place in (0, 7, len(RECORD.input) - 1):
        ids = batch.tokens.values.clone()
        ids[batch.prefix + place] = scorer.tokenizer.vocabulary.mask_token_id
        changed = replace(batch, inputs={**batch.inputs, "input_ids": batch.tokens.with_values(ids)})
        score = scorer.score_batch(changed)[0, scorer.names.index("positive")]
        assert found.effects[place, 0] == pytest.approx(score - found.score, abs=1e-5)
        assert found.attributions[place] == pytest.approx(found.score - score, abs=1e-5)


def test_a_text_without_tokens_has_nothing_to_explain(scorer):
    for explain in (by_gradients, by_substitution):
        (found,) = explain(scorer, Record("r", ""), None)
        assert (found.pieces, found.attributions.shape) == ((), (0,))


def test_a_long_record_is_changed_a_forward_pass_at_a_time(scorer, monkeypatch):
    whole = by_substitution(scorer, RECORD, "positive")[0]
    monkeypatch.setattr(scorer, "batch_tokens", 100)
    sizes = []
    score_batch = scorer.score_batch
    monkeypatch.setattr(scorer, "score_batch", lambda batch: sizes.append(len(batch)) or score_batch(batch))
    cut = by_substitution(scorer, RECORD, "positive")[0]
    np.testing.assert_allclose(cut.effects, whole.effects, atol=1e-5)
    assert max(sizes) * (len(RECORD.input) + 2) <= 100


def test_the_score_of_a_class_is_its_log_probability(scorer, predictor):
    scores = scorer.score_records([RECORD])[0]
    probabilities = predictor.at(0).predict([RECORD.input])[0].probabilities
    uncalibrated = np.exp(scores)
    assert uncalibrated.sum() == pytest.approx(1, abs=1e-6)
    assert uncalibrated.argmax() == probabilities.argmax()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "shap"}, "substitution or gradients"),
        ({"method": "gradients", "steps": 1}, "2 is the least"),
        ({"method": "substitution", "output": "positiv"}, "Did you mean 'positive'"),
    ],
)
def test_what_does_not_go_is_refused(scorer, options, message):
    with pytest.raises(SettingsError, match=message):
        explainer(scorer, **options)(RECORD)


def test_an_encoder_that_cannot_fade_is_refused(monkeypatch):
    monkeypatch.setattr(Toy, "fades", False)
    scorer, _ = toy_scorer()
    with pytest.raises(SettingsError, match="--method substitution"):
        by_gradients(scorer, Record("r", "14"), None)
    with pytest.raises(SettingsError, match="--method gradients"):
        by_substitution(scorer, Record("r", "14"), None)


def test_records_without_pieces_are_refused_by_either_method(monkeypatch):
    monkeypatch.setattr(Toy, "fades", False)
    scorer, _ = toy_scorer()
    for method in ("substitution", "gradients"):
        with pytest.raises(SettingsError, match=r"toy\.sum reads a record as numbers"):
            explainer(scorer, method)
