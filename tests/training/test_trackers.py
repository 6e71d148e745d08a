"""What a tracker is told is what the log holds."""

from __future__ import annotations

import json
import sys

import pytest

from labtune.errors import SettingsError
from labtune.pipeline import run
from labtune.training.trackers import Tracker, open_tracker

OPTIONS = {"encoder": "tiny", "epochs": 2, "batch_size": 80, "audit": "off"}


def test_tensorboard_holds_steps_and_scores(tmp_path):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    out = tmp_path / "run"
    run("finance.sentiment", out=out, tracker="tensorboard", **OPTIONS)
    told = reader.EventAccumulator(str(out / "tensorboard"))
    told.Reload()
    events = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    steps = [event for event in events if event["event"] == "step"]
    epochs = [event for event in events if event["event"] == "epoch"]
    losses = told.Scalars("train/loss")
    assert [found.step for found in losses] == [step["step"] for step in steps]
    assert [found.value for found in losses] == pytest.approx([step["loss"] for step in steps], rel=1e-6)
    rates = [found.value for found in told.Scalars("train/learning_rate")]
    assert rates == pytest.approx([step["learning_rate"] for step in steps], rel=1e-6)
    scores = told.Scalars("valid/accuracy")
    assert [found.value for found in scores] == pytest.approx([epoch["valid"]["accuracy"] for epoch in epochs])


def test_a_resumed_training_takes_back_what_it_tells_again(tmp_path):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    for start, steps in ((0, range(1, 6)), (3, range(4, 7))):
        tracker = Tracker("tensorboard", tmp_path, start)
        for step in steps:
            tracker.log({"loss": step / 10, "broken": float("nan")}, step)
        tracker.close()
    told = reader.EventAccumulator(str(tmp_path / "tensorboard"))
    told.Reload()
    assert [found.step for found in told.Scalars("loss")] == [1, 2, 3, 4, 5, 6]
    assert told.Tags()["scalars"] == ["loss"]


def test_none_is_none(tmp_path):
    assert open_tracker("none", tmp_path) is None


def test_a_missing_package_is_told(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(SettingsError, match=r"tracker 'mlflow' needs mlflow.*pip install 'labtune\[mlflow\]'"):
        run("finance.sentiment", out=tmp_path / "run", tracker="mlflow", **OPTIONS)
    assert not (tmp_path / "run").exists()
