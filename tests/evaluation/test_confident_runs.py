"""A whole run calibrates, audits and slices, and the loaded model predicts with what it learned."""

import json

import pytest

from labtune.deploy.predictor import load, predict_file
from labtune.errors import DataError, RunError, SettingsError
from labtune.pipeline import run

PLUGIN = """
from labtune import Labels, Preset, Task, hookimpl

@hookimpl
def labtune_tasks():
    return [
        Task(
            name="odd.words", summary="Words.", reader="labtune.data.reading:read_table", tokenizer="text",
            head="sequence", loss="cross_entropy", metrics=("classification",), labels=Labels(kind="classes"),
            presets=(Preset(name="small", settings={"encoder": "tiny", "epochs": 1}),), examples="labtune_odd:examples",
        ),
        Task(
            name="odd.numbers", summary="Numbers.", reader="labtune.data.reading:read_table", tokenizer="text",
            head="sequence", loss="mse", metrics=("regression",), labels=Labels(kind="values"),
            presets=(Preset(name="small", settings={"encoder": "tiny", "epochs": 1}),), examples="labtune_odd:examples",
        ),
    ]
"""


@pytest.fixture
def folder(install, tmp_path):
    install("labtune-odd", PLUGIN)
    rows = [f"word {row} {'up' if row % 3 else 'down'},{row % 3 > 0},{row / 7},{'ab'[row % 2]}" for row in range(400)]
    rows += [rows[0]]
    (tmp_path / "all.csv").write_text("\n".join(["text,label,number,site", *rows]))
    return tmp_path


def test_classes(folder):
    found = run("odd.words", train=folder / "all.csv", out=folder / "run", coverage=0.8, slices="site").metrics
    assert found["conformal"]["target"] == 0.8
    assert 0 <= found["calibration"]["ece"] <= 1
    assert found["calibration"]["fitted"]["nll_after"] <= found["calibration"]["fitted"]["nll_before"]
    assert set(found["slices"]["site"]["slices"]) == {"a", "b"}
    assert found["baseline_name"] == "Always the most frequent class"
    split = json.loads((folder / "run" / "split.json").read_text())
    assert {part: len(split[part]) for part in ("train", "valid", "test")} == {
        part: facts["records"] for part, facts in found["data"].items()
    }
    again = run(
        "odd.words", train=folder / "all.csv", out=folder / "same", split=f"ids:{folder}/run/split.json", seed=5
    )
    assert again.metrics["split"] == found["split"] == split["hash"]
    kinds = [finding["kind"] for finding in json.loads((folder / "run" / "audit.json").read_text())]
    assert "duplicates_within" in kinds
    page = (folder / "run" / "report.html").read_text()
    assert all(title in page for title in ("Calibration", "Coverage", "Slices by site", "Data check"))

    lines = [json.loads(line) for line in (folder / "run" / "predictions.jsonl").read_text().splitlines()]
    assert all({"set", "abstained"} <= line.keys() for line in lines)
    predict_file(folder / "run", folder / "all.csv", folder / "again.jsonl")
    again = {line["id"]: line for line in map(json.loads, (folder / "again.jsonl").read_text().splitlines())}
    for line in lines:
        assert again[line["id"]]["prediction"] == line["prediction"]
        assert again[line["id"]]["confidence"] == pytest.approx(line["confidence"], abs=1e-4)

    predictor = load(folder / "run")
    [narrow], [wide] = (predictor.at(share).predict(["word up"]) for share in (0.5, 0.99))
    assert set(narrow.details["set"]) <= set(wide.details["set"])
    assert predictor.at(0).predict(["word up"])[0].details == {}
    with pytest.raises(RunError, match="highest"):
        predictor.at(0.999)
    with pytest.raises(SettingsError, match="below 1"):
        predictor.at(1)


def test_numbers(folder):
    options = {"reader": {"target": "number"}, "coverage": 0.9}
    found = run("odd.numbers", train=folder / "all.csv", out=folder / "run", **options).metrics
    assert found["calibration"]["temperature"] == 1
    assert found["conformal"]["width"] > 0
    [prediction] = load(folder / "run").predict(["word up"])
    low, high = prediction.details["interval"]
    assert low < prediction.value < high
    assert high - low == pytest.approx(found["conformal"]["width"])


def test_a_missing_column_is_told_before_training(folder):
    with pytest.raises(DataError, match="Did you mean 'site'"):
        run("odd.words", train=folder / "all.csv", out=folder / "run", slices=["sight"])
    assert not (folder / "run").exists()
