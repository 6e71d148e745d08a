"""Cross-validation: every record is tested once a repetition, and intervals are as wide as they have to be."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from labtune.cli import main
from labtune.crossval import Plan, corrected, read_plan, summarise
from labtune.data.splitting import split_records
from labtune.errors import SettingsError
from labtune.settings import Settings
from labtune.specs import Record

SETTINGS = Settings(task="t", encoder="tiny", split="cv:5x10")


def test_plans():
    assert read_plan(SETTINGS) == Plan(5, 10)
    assert read_plan(replace(SETTINGS, split="cv:3")) == Plan(3, 1)
    for split in ("cv:", "cv:1", "cv:5x", "cv:5x0", "cv:ax2"):
        with pytest.raises(SettingsError, match="cv:5x10"):
            read_plan(replace(SETTINGS, split=split))
    with pytest.raises(SettingsError, match="one file"):
        read_plan(replace(SETTINGS, data={"train": "a", "test": "b"}))


def test_folds_partition_the_records():
    records = [Record(str(row), f"x{row}", "ab"[row % 2]) for row in range(103)]
    parts = [split_records(records, f"fold:5:{fold}", (0.7, 0.15, 0.15), seed=2) for fold in range(5)]
    assert sorted(record.id for part in parts for record in part["test"]) == sorted(record.id for record in records)
    for part in parts:
        assert sum(map(len, part.values())) == 103
        assert len(part["valid"]) == pytest.approx(82 * 0.15 / 0.85, abs=2)
    with pytest.raises(SettingsError, match="fold:5:0"):
        split_records(records, "fold:5:5")


def test_the_interval_by_hand():
    values = np.array([0.8, 0.9, 0.7, 0.8])
    found = corrected(values, 0.25, test=True)
    error = np.sqrt((1 / 4 + 1 / 4) * values.var(ddof=1))
    low, high = stats.t.interval(0.95, 3, loc=0.8, scale=error)
    assert (found["value"], found["low"], found["high"]) == pytest.approx((0.8, low, high))
    plain = corrected(values, 0.0, test=True)
    assert plain["p"] == pytest.approx(stats.ttest_1samp(values, 0).pvalue)
    assert found["p"] > plain["p"]


def test_false_alarms_by_simulation():
    """Two equally good ways to guess, cross-validated on the same numbers: the plain test errs far too often."""
    generator = np.random.default_rng(0)
    found, plain = [], []
    for _ in range(300):
        numbers = generator.normal(size=(40, 2))
        gaps = []
        for _ in range(4):
            for test in np.array_split(generator.permutation(40), 5):
                train = np.setdiff1d(np.arange(40), test)
                guesses = numbers[train].mean(0)
                gaps.append(np.subtract(*((numbers[test] - guesses) ** 2).mean(0)))
        found.append(corrected(np.array(gaps), 0.25, test=True)["p"] < 0.05)
        plain.append(corrected(np.array(gaps), 0.0, test=True)["p"] < 0.05)
    assert np.mean(found) < 0.1
    assert np.mean(plain) > 0.15


def fold(score, baseline):
    scores = {part: {"f1": {"value": value}} for part, value in (("test", score), ("baseline", baseline))}
    return {
        **scores,
        "data": {part: {"records": size} for part, size in (("train", 60), ("valid", 20), ("test", 20))},
        "warnings": ["w"],
        "task": "t",
    }


def test_summary():
    found = summarise([fold(0.8, 0.5), fold(0.9, 0.6), fold(0.7, 0.4)])
    assert found["test"]["f1"]["value"] == pytest.approx(0.8)
    assert found["gain"]["f1"]["value"] == pytest.approx(0.3)
    assert found["test"]["f1"]["high"] - 0.8 == pytest.approx(stats.t.ppf(0.975, 2) * np.sqrt((1 / 3 + 1 / 4) * 0.01))
    assert (found["runs"], found["task"], found["warnings"]) == (3, "t", ["w"])


PLUGIN = """
from labtune import Labels, Preset, Task, hookimpl

@hookimpl
def labtune_tasks():
    return [
        Task(
            name="odd.words", summary="Words.", reader="labtune.data.reading:read_table", tokenizer="text",
            head="sequence", loss="cross_entropy", metrics=("classification",), labels=Labels(kind="classes"),
            presets=(Preset(name="small", settings={"encoder": "tiny", "epochs": 1}),), examples="labtune_odd:examples",
        )
    ]
"""


def test_the_command(install, tmp_path, capsys):
    install("labtune-odd", PLUGIN)
    rows = [f"word {row} {'up' if row % 3 else 'down'},{row % 3 > 0}" for row in range(60)]
    (tmp_path / "all.csv").write_text("\n".join(["text,label", *rows]))
    words = [
        "run",
        "odd.words",
        "--train",
        str(tmp_path / "all.csv"),
        "--split",
        "cv:2x2",
        "--out",
        str(tmp_path / "cv"),
    ]
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["runs"] == 4
    tested = []
    for repeat in (1, 2):
        for number in (1, 2):
            place = tmp_path / "cv" / f"repeat-{repeat}-fold-{number}"
            tested += [json.loads(line)["id"] for line in (place / "predictions.jsonl").read_text().splitlines()]
            assert not (place / "model").exists()
    assert sorted(tested) == sorted(2 * [f"all:{line}" for line in range(2, 62)])
    assert json.loads((tmp_path / "cv" / "crossval.json").read_text())["test"] == found["test"]
    assert main([*words, "--resume", "--json"]) == 0  # nothing is left to do
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["test"] == found["test"]
