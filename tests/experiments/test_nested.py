"""A nested search: no fold's search sees the fold, and every record is tested once."""

from __future__ import annotations

import csv
import json

import pytest

from labtune.builtin.metrics import Classification
from labtune.cli import main
from labtune.errors import RunError
from labtune.experiments import nested as room

WORDS = {"positive": "profit rose", "negative": "profit fell", "neutral": "board met"}


@pytest.fixture
def command(tmp_path):
    """A nested search of two folds over the learning rate alone."""
    file = tmp_path / "all.csv"
    with file.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["text", "label"])
        for row in range(36):
            label = list(WORDS)[row % 3]
            rows.writerow([f"{row}: the {WORDS[label]}", label])
    fixed = ["batch_size=8", "dropout=0", "weight_decay=0", "audit=off", "epochs=1"]
    settings = [word for assignment in fixed for word in ("--set", assignment)]
    words = ["search", "finance.sentiment", "--train", str(file), "--encoder", "tiny", "--method", "full", *settings]
    return [*words, "--split", "cv:2", "--trials", "2", "--out", str(tmp_path / "out")]


def test_folds_are_searched_without_what_they_are_tested_on(command, tmp_path, capsys, monkeypatch):
    searched, seen = [], []
    original, score = room.search, Classification.__call__

    def watch(self, predictions, references):
        seen.extend(record.id for record in references)
        return score(self, predictions, references)

    def search(*arguments):
        seen.clear()
        found = original(*arguments)
        searched.append(set(seen))
        return found

    monkeypatch.setattr(Classification, "__call__", watch)
    monkeypatch.setattr(room, "search", search)
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])

    folds = [tmp_path / "out" / f"repeat-1-fold-{number}" for number in (1, 2)]
    tested = [
        {json.loads(line)["id"] for line in (fold / "run" / "predictions.jsonl").read_text().splitlines()}
        for fold in folds
    ]
    assert tested[0].isdisjoint(tested[1])
    assert len(tested[0] | tested[1]) == 36
    for chosen_by, asked in zip(searched, tested, strict=True):
        assert chosen_by
        assert chosen_by.isdisjoint(asked)

    assert found["runs"] == 2
    for name, fold in zip(("repeat-1-fold-1", "repeat-1-fold-2"), folds, strict=True):
        best = json.loads((fold / "search" / "search.json").read_text())["best"]
        assert found["chosen"][name] == best["values"]
        assert f"learning_rate = {best['values']['learning_rate']}" in (fold / "run" / "run.toml").read_text()
        assert not (fold / "run" / "model").exists()
    values = [json.loads((fold / "run" / "metrics.json").read_text())["test"]["macro_f1"]["value"] for fold in folds]
    assert found["test"]["macro_f1"]["value"] == pytest.approx(sum(values) / 2)
    assert "What each fold chose" in (tmp_path / "out" / "nested.html").read_text()


def test_going_on_and_what_does_not_go_on(command, tmp_path, capsys, monkeypatch):
    finished = room.run_settings

    def stop(settings, place, **options):
        if "fold-2" in str(place):
            raise RunError("stopped")
        return finished(settings, place, **options)

    monkeypatch.setattr(room, "run_settings", stop)
    assert main(command) == 2
    first = (tmp_path / "out" / "repeat-1-fold-1" / "run" / "metrics.json").read_bytes()
    monkeypatch.setattr(room, "run_settings", finished)
    assert main(command) == 0
    assert (tmp_path / "out" / "repeat-1-fold-1" / "run" / "metrics.json").read_bytes() == first
    capsys.readouterr()
    assert main([*command, "--trials", "3"]) == 2
    assert "begun with other trials" in capsys.readouterr().err
    assert main([*command, "--jobs", "2"]) == 2
    assert "leave --jobs out" in capsys.readouterr().err
