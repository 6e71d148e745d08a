"""A whole search on a small sample: judged on validation data, repeatable, and its best settings run."""

from __future__ import annotations

import csv
import json

import pytest

from labtune.builtin.metrics import Classification
from labtune.catalog import load_catalog
from labtune.cli import main
from labtune.errors import RunError
from labtune.experiments import search as room
from labtune.experiments.findings import BEST
from labtune.experiments.request import Request
from labtune.experiments.search import search
from labtune.settings import Settings, resolve_settings
from labtune.training.interrupts import Interrupted

TASK = "finance.sentiment"
WORDS = {"positive": "profit rose", "negative": "profit fell", "neutral": "board met"}


@pytest.fixture
def files(tmp_path):
    """Write 24 training, 9 validation and 9 test sentences."""

    def write(part, count, suffix=""):
        path = tmp_path / f"{part}.csv"
        with path.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["text", "label"])
            for row in range(count):
                label = list(WORDS)[row % 3]
                rows.writerow([f"{part} {row}: the {WORDS[label]}{suffix}", label])
        return str(path)

    return {"train": write("train", 24), "valid": write("valid", 9), "test": write("test", 9, " (kept aside)")}


@pytest.fixture
def request_of(files):
    def ask(*sets, **flags):
        fixed = ["batch_size=8", "dropout=0", "weight_decay=0", "audit=off"]
        return Request(
            load_catalog(),
            TASK,
            {"encoder": "tiny", "method": "full", "epochs": 1, "data": files, **flags},
            [*fixed, *sets],
        )

    return ask


@pytest.fixture
def scored(monkeypatch):
    """Collect the ids and inputs of every record that a score was computed on."""
    seen = []
    original = Classification.__call__

    def watch(self, predictions, references):
        seen.extend(record.input for record in references)
        return original(self, predictions, references)

    monkeypatch.setattr(Classification, "__call__", watch)
    return seen


def test_a_search_touches_no_test_data(request_of, tmp_path, scored, monkeypatch):
    """No test record is tokenised, trained on or scored."""
    tokenised = []
    original = room.build_parts

    def build(*arguments):
        parts = original(*arguments)
        tokenizer = parts.tokenizer
        object.__setattr__(parts, "tokenizer", lambda records: tokenised.extend(records) or tokenizer(records))
        return parts

    monkeypatch.setattr(room, "build_parts", build)
    found = search(request_of(), tmp_path / "s", 1)
    assert len(found.trials) == 1
    assert len(tokenised) == 24 + 9
    assert len(scored) == 9
    assert not [text for text in [*scored, *(record.input for record in tokenised)] if "kept aside" in str(text)]


def test_what_a_search_leaves(request_of, tmp_path):
    out = tmp_path / "s"
    found = search(request_of(), out, 2)
    assert {path.name for path in out.iterdir()} == {BEST, "search.json", "search.html", "trials.jsonl", "trials"}
    assert not list((out / "trials").iterdir())
    content = json.loads((out / "search.json").read_text())
    assert content["best"]["score"] == max(trial["score"] for trial in content["trials"]) == found.best.score
    assert [list(trial["values"]) for trial in content["trials"]] == [["learning_rate"]] * 2
    again = resolve_settings(load_catalog(), out / BEST)
    assert again == Settings.from_toml(out / BEST)
    assert again.learning_rate == found.best.values["learning_rate"]
    assert (again.task, again.encoder, again.epochs, set(again.data)) == (TASK, "tiny", 1, {"train", "valid", "test"})
    page = (out / "search.html").read_text()
    assert "Best validation macro F1" in page
    assert "History" in page
    assert "<script" not in page


@pytest.mark.slow
def test_the_best_settings_run_to_the_same_score(request_of, tmp_path, capsys):
    found = search(request_of(), tmp_path / "s", 1)
    assert main(["run", str(tmp_path / "s" / BEST), "--out", str(tmp_path / "run"), "--json"]) == 0
    metrics = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert metrics["valid"]["macro_f1"]["value"] == found.best.score
    assert metrics["test"]


def test_a_failed_trial_does_not_end_the_search(request_of, tmp_path, monkeypatch):
    scores = iter([RunError("the disk is full"), 0.5])

    def train(*arguments):
        score = next(scores)
        if isinstance(score, Exception):
            raise score
        return score

    monkeypatch.setattr(room, "_train", train)
    found = search(request_of(), tmp_path / "s", 2)
    assert [(trial.state, trial.error) for trial in found.trials] == [("failed", "the disk is full"), ("finished", "")]
    assert found.best.number == 1


def test_no_trial_finished(request_of, tmp_path, monkeypatch):
    def train(*arguments):
        raise RunError("the disk is full")

    monkeypatch.setattr(room, "_train", train)
    with pytest.raises(RunError, match="no trial has finished: the disk is full"):
        search(request_of(), tmp_path / "s", 2)


def test_a_stopped_search_goes_on(request_of, tmp_path, monkeypatch):
    def stop(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(room, "_train", stop)
    with pytest.raises(Interrupted, match="the same command goes on"):
        search(request_of(), tmp_path / "s", 1)
    monkeypatch.setattr(room, "_train", lambda *arguments: 0.5)
    found = search(request_of(), tmp_path / "s", 1)
    assert [trial.state for trial in found.trials] == ["finished"]


def test_the_command_line(files, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(room, "_train", lambda *arguments: 0.5)
    data = [word for name, file in files.items() for word in (f"--{name}", file)]
    words = ["search", TASK, *data, "--encoder", "tiny", "--trials", "2", "--out", str(tmp_path / "s")]
    assert main([*words, "--json"]) == 0
    content = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (len(content["trials"]), content["folder"]) == (2, str(tmp_path / "s"))
    assert main([*words, "--epochs", "9"]) == 2
    assert "error: " in (told := capsys.readouterr().err)
    assert "holds a search with other settings" in told
    assert main(["search", TASK, "--trials", "none"]) == 2
    assert main(["compare", TASK, "--methods", "lorra"]) == 2
    assert "method must be one of" in capsys.readouterr().err
