import json

import pytest

from labtune.builtin.metrics import Classification
from labtune.errors import SettingsError
from labtune.evaluation.scoring import score
from labtune.specs import Labels, Prediction, Record

METRIC = Classification(Labels(kind="classes", names=("a", "b")))


def test_scores_are_json():
    records = [Record(str(row), "x", "ab"[row % 2]) for row in range(20)]
    predictions = [Prediction(record.id, "a") for record in records]
    found = json.loads(json.dumps(score([METRIC], predictions, records), allow_nan=False))
    assert found["accuracy"]["value"] == 0.5
    assert found["accuracy"]["low"] < 0.5 < found["accuracy"]["high"]


def test_undefined_is_null():
    records = [Record(str(row), "x", "a") for row in range(5)]
    found = score([METRIC], [Prediction(record.id, "a") for record in records], records)
    assert found["mcc"] == {"value": None, "low": None, "high": None}


def test_predictions_must_be_those_of_the_records():
    with pytest.raises(ValueError, match="order"):
        score([METRIC], [Prediction("2", "a")], [Record("1", "x", "a")])


def test_names_of_scores_must_differ():
    with pytest.raises(SettingsError, match="accuracy"):
        score([METRIC, METRIC], [Prediction("1", "a")], [Record("1", "x", "a")])
