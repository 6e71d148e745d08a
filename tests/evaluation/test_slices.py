"""Slices by hand; gaps beyond chance are told, and others about as rarely as they should be."""

import numpy as np
import pytest

from labtune.builtin.metrics import Classification, Regression
from labtune.evaluation.report.words import label
from labtune.evaluation.slices import score_slices, slice_sections, slices_json, slicings
from labtune.specs import Labels, Prediction, Record, Task

METRIC = Classification(Labels(kind="classes", names=("a", "b")), monitor="accuracy")


def task(**fields):
    names = dict.fromkeys(("name", "summary", "reader", "tokenizer", "head", "loss", "examples"), "")
    return Task(**names, metrics=(), labels=Labels(kind="classes"), presets=(), **fields)


def data(rights, **fields):
    records = [
        Record(str(row), "x", "a", **{key: value[row] for key, value in fields.items()}) for row in range(len(rights))
    ]
    return [Prediction(str(row), "a" if right else "b") for row, right in enumerate(rights)], records


def test_scores_of_slices():
    predictions, records = data([True] * 30 + [False] * 15 + [True] * 15)
    [found] = score_slices(METRIC, predictions, records, {"side": ["left"] * 30 + ["right"] * 30})
    assert {name: (interval.value, count) for name, (interval, count) in found.slices.items()} == {
        "left": (1.0, 30),
        "right": (0.5, 30),
    }
    assert (found.best, found.worst, found.gap, found.beyond_chance) == ("left", "right", 0.5, True)
    assert found.p == pytest.approx(1 / 501)
    section = slice_sections([found], {"accuracy": {"value": 0.75}})[0]
    assert (section.x_label, section.reference, section.bars[1].records) == (label("accuracy"), 0.75, 30)
    assert slices_json([found])["side"]["slices"]["right"]["value"] == 0.5


def test_errors_are_better_when_small():
    metric = Regression(Labels(kind="values", names=("value",)), monitor="-rmse")
    records = [Record(str(row), "x", 0.0) for row in range(60)]
    predictions = [Prediction(str(row), (-1.0) ** row * (1 if row < 30 else 3)) for row in range(60)]
    [found] = score_slices(metric, predictions, records, {"side": ["left"] * 30 + ["right"] * 30})
    assert (found.best, found.worst, found.gap) == ("left", "right", pytest.approx(2))


def test_small_slices_are_pooled_and_one_slice_is_none():
    predictions, records = data([True, False] * 30)
    names = ["much"] * 50 + ["p"] * 4 + ["q"] * 6
    [found] = score_slices(METRIC, predictions, records, {"x": names, "same": ["all"] * 60})
    assert {name: count for name, (_, count) in found.slices.items()} == {"much": 50, "2 small slices": 10}
    assert found.gap is None  # ten records are too few to compare with


@pytest.mark.parametrize("grouped", [False, True])
def test_gaps_by_chance_are_not_told(grouped, monkeypatch):
    monkeypatch.setattr("labtune.evaluation.slices.PERMUTATIONS", 99)
    generator = np.random.default_rng(0)
    told = []
    for _ in range(40):
        hard = generator.random(30)
        groups = np.repeat(np.arange(30), 4)
        rights = generator.random(120) < hard[groups] if grouped else generator.random(120) < 0.7
        predictions, records = data(rights, group=[str(group) if grouped else None for group in groups])
        slices = [("one", "two", "three")[group % 3] for group in groups]
        told.append(score_slices(METRIC, predictions, records, {"x": slices}, seed=1)[0].beyond_chance)
    assert np.mean(told) <= 0.1


def test_columns_and_functions():
    records = [
        Record(str(row), "x", columns={"donor": "ab"[row % 2], "age": str(row), "few": row % 3}) for row in range(40)
    ]
    found = slicings(task(slices={"id": "operator:not_"}), ["donor", "age", "few"], records)
    assert found["id"] == ["False"] * 40
    assert found["donor"][:2] == ["a", "b"]
    assert found["few"][:3] == ["0", "1", "2"]
    assert sorted(set(found["age"])) == ["over 29.25", "to 19.5", "to 29.25", "to 9.75"]
