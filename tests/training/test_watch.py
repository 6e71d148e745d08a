"""Whoever watches a training hears of every epoch, and can end it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from labtune.processes import start
from labtune.training.loop import fit


def test_every_epoch_is_told(training):
    told = []
    progress = fit(replace(training(epochs=3), watch=lambda *words: told.append(words)), start("no"))
    assert [epoch for epoch, _ in told] == [1, 2, 3]
    assert max(score for _, score in told) == progress.best_score


def test_what_it_raises_ends_the_training(training):
    def watch(epoch: int, score: float) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        fit(replace(training(epochs=3), watch=watch), start("no"))
