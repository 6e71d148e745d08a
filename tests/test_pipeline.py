"""One run from files to report, by the public functions."""

from __future__ import annotations

import json

import pytest

import labtune
from labtune.errors import DataError, RunError, TrainingError
from labtune.settings import Settings

TASK = "finance.sentiment"
OPTIONS = {"encoder": "tiny", "epochs": 1}
FILES = {
    "run.toml",
    "metrics.json",
    "sections.json",
    "predictions.jsonl",
    "report.html",
    "model",
    "checkpoints",
    "log.jsonl",
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return labtune.run(TASK, out=tmp_path_factory.mktemp("r") / "run", **OPTIONS)


def test_what_a_run_leaves(finished):
    assert {path.name for path in finished.folder.iterdir()} >= FILES
    assert not [path for path in finished.folder.rglob("*") if path.suffix in (".pt", ".bin", ".pkl", ".partial")]


def test_what_metrics_say(finished):
    metrics = json.loads((finished.folder / "metrics.json").read_text())
    assert metrics == finished.metrics
    assert {"task", "preset", "encoder", "method", "bits", "seed", "test", "valid", "baseline"} <= set(metrics)
    assert {"seconds", "steps", "tokens", "tokens_per_second", "peak_memory_mb"} <= set(metrics["train"])
    assert {"trainable_parameters", "total_parameters"} <= set(metrics["train"])
    for name, score in metrics["test"].items():
        assert set(score) == {"value", "low", "high"}, name
        assert set(metrics["baseline"][name]) == {"value", "low", "high"}, name
    for part in ("train", "valid", "test"):
        facts = metrics["data"][part]
        assert {"records", "sha256", "truncated", "windowed", "dropped"} <= set(facts)
    assert metrics["train"]["tokens"] == metrics["data"]["train"]["tokens"]


def test_run_toml_repeats_the_run(finished, tmp_path):
    again = labtune.run(str(finished.folder / "run.toml"), out=tmp_path / "again")
    for part in ("valid", "test"):
        assert again.metrics[part] == finished.metrics[part]
    assert Settings.from_toml(again.folder / "run.toml") == Settings.from_toml(finished.folder / "run.toml")


def test_the_settings_decide_and_the_budget_does_not(finished, tmp_path):
    """Another budget cuts the same steps otherwise: as many steps and tokens, in the same order."""
    other = labtune.run(TASK, out=tmp_path / "other", batch_tokens=300, **OPTIONS)
    steps = [
        [(line["step"], line["tokens"]) for line in map(json.loads, (folder / "log.jsonl").open()) if "tokens" in line]
        for folder in (finished.folder, other.folder)
    ]
    assert steps[0] == steps[1]


def test_an_occupied_folder_is_left_alone(finished):
    before = (finished.folder / "metrics.json").read_bytes()
    with pytest.raises(RunError, match="is not empty; add --resume"):
        labtune.run(TASK, out=finished.folder, **OPTIONS)
    assert (finished.folder / "metrics.json").read_bytes() == before


def test_wrong_data_makes_no_folder(tmp_path):
    with pytest.raises(DataError):
        labtune.run(TASK, train=tmp_path / "none.csv", out=tmp_path / "run", **OPTIONS)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_before_the_first_checkpoint_leaves_nothing(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise TrainingError("the loss is nan")

    monkeypatch.setattr("labtune.pipeline.fit", fail)
    with pytest.raises(TrainingError):
        labtune.run(TASK, out=tmp_path / "run", **OPTIONS)
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_while_scoring_says_how_to_go_on(finished, tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("labtune.pipeline.evaluate", stop)
    with pytest.raises(KeyboardInterrupt, match=r"stopped; go on with: labtune run --out .*run --resume"):
        labtune.run(TASK, out=tmp_path / "run", **OPTIONS)
    monkeypatch.undo()
    resumed = labtune.run(out=tmp_path / "run", resume=True)
    assert resumed.metrics["test"] == finished.metrics["test"]


def test_a_run_that_died_before_its_page(finished, tmp_path):
    (finished.folder / "report.html").unlink()
    labtune.run(out=finished.folder, resume=True)
    assert "<html" in (finished.folder / "report.html").read_text()


def test_head_method_embeds_once_and_predicts_with_the_encoder(tmp_path):
    done = labtune.run(TASK, out=tmp_path / "run", method="head", **OPTIONS)
    assert not list(done.folder.rglob("*.states"))
    predictor = labtune.load(done.folder)
    written = [json.loads(line) for line in (done.folder / "predictions.jsonl").read_text().splitlines()]
    records = [line["id"] for line in written]
    assert len(records) == done.metrics["data"]["test"]["records"]
    assert predictor.predict(["Profit rose."])[0].value in predictor.parts.labels.names
