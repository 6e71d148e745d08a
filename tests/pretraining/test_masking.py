"""Masks: the shares of BERT, spans within records, and special tokens never."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from labtune.pretraining.corpus import Drawn
from labtune.pretraining.masking import Masking
from labtune.ragged import Ragged

CONTENT = np.arange(10, 30)
MASK = 4


def batch(records=200, length=100):
    ids = np.random.default_rng(0).choice(CONTENT, (records, length))
    ids[:, 0], ids[:, -1] = 1, 2
    return Ragged.from_rows(list(torch.from_numpy(ids)))


@pytest.mark.parametrize("spans", [False, True])
def test_shares(spans):
    tokens = batch()
    masked = Masking(0.15, spans, MASK, CONTENT)(Drawn(tokens), np.random.default_rng(1))
    count = len(masked.positions)
    assert count / len(tokens.values) == pytest.approx(0.15, abs=0.01)
    shown = masked.tokens.values[masked.positions]
    assert float((shown == MASK).float().mean()) == pytest.approx(0.8, abs=0.02)
    kept = float((shown == masked.truth).float().mean())
    assert kept == pytest.approx(0.1 + 0.1 / len(CONTENT), abs=0.02)


@pytest.mark.parametrize("spans", [False, True])
def test_nothing_else_changes(spans):
    tokens = batch()
    masked = Masking(0.15, spans, MASK, CONTENT)(Drawn(tokens), np.random.default_rng(1))
    untouched = torch.ones(len(tokens.values), dtype=torch.bool)
    untouched[masked.positions] = False
    assert torch.equal(masked.tokens.values[untouched], tokens.values[untouched])
    assert torch.equal(masked.truth, tokens.values[masked.positions])
    assert set(np.unique(masked.truth)) <= set(CONTENT)


def test_spans_are_longer_than_chance():
    def runs(spans):
        masked = Masking(0.15, spans, MASK, CONTENT)(Drawn(batch()), np.random.default_rng(1))
        return len(masked.positions) / (1 + int((masked.positions.diff() > 1).sum()))

    assert runs(False) == pytest.approx(1 / 0.85, abs=0.05)
    assert runs(True) > 2


def test_a_short_record_still_has_something_to_learn():
    tokens = Ragged.from_rows([torch.tensor([1, 12, 2])])
    for seed in range(5):
        masked = Masking(0.01, False, MASK, CONTENT)(Drawn(tokens), np.random.default_rng(seed))
        assert masked.positions.tolist() == [1]
