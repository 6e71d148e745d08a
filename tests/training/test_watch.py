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


def test_of_equally_good_epochs_the_last_is_kept(training):
    class Easy:
        monitor = "accuracy"

        def __call__(self, predictions, references):
            return {"accuracy": 1.0}

    told = []
    given = replace(training(epochs=3), metric=Easy(), watch=lambda *words: told.append(words))
    progress = fit(given, start("no"))
    assert {score for _, score in told} == {progress.best_score} == {1.0}
    assert progress.best_epoch == 3
