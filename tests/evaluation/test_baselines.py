import math
from dataclasses import replace

import pytest

from labtune.evaluation.baselines import fit_baseline, majority_or_mean
from labtune.specs import Labels, Record, Span, Task


def records(*targets):
    return [Record(f"r{row}", "x", target) for row, target in enumerate(targets)]


def test_majority_of_records():
    predict = majority_or_mean(records("b", "a", "b"), Labels(kind="classes", names=("a", "b")))
    (found,) = predict([Record("new", "x")])
    assert (found.id, found.value) == ("new", "b")
    assert found.confidence == pytest.approx(2 / 3)
    assert found.probabilities.tolist() == pytest.approx([1 / 3, 2 / 3])


def test_majority_of_units_skips_missing_truth():
    labels = Labels(kind="classes", names=("E", "H"))
    predict = majority_or_mean(records(["E", None, None], ["H", "H"]), labels)
    (found,) = predict(records([None, "E", "E"]))
    assert found.value == ["H"] * 3
    assert found.confidence == pytest.approx([2 / 3] * 3)
    assert found.probabilities.shape == (3, 2)


def test_frequent_labels():
    labels = Labels(kind="multilabel", names=("a", "b", "c"))
    (found,) = majority_or_mean(records(["a", "b"], ["a"], [], ["a", "b"]), labels)(records([]))
    assert found.value == ["a", "b"]
    assert found.confidence == [0.75, 0.5]
    assert found.probabilities.tolist() == [0.75, 0.5, 0]


def test_mean_of_numbers():
    labels = Labels(kind="values", names=("value",))
    assert majority_or_mean(records(1.0, 2.0), labels)(records(9.0))[0].value == 1.5
    assert majority_or_mean(records([1.0, math.nan], [3.0]), labels)(records([0.0] * 3))[0].value == [2.0] * 3


def test_mean_of_each_output():
    labels = Labels(kind="values", names=("x", "y"))
    (found,) = majority_or_mean(records([1.0, 10.0], [3.0, 30.0]), labels)(records([0.0, 0.0]))
    assert found.value == [2.0, 20.0]


def test_no_span():
    (found,) = majority_or_mean(records([Span(0, 1, "X")]), Labels(kind="spans", names=("X",)))(records([]))
    assert found.value == []


def test_the_tasks_own_baseline_wins():
    task = Task(
        name="t",
        summary="",
        reader="",
        tokenizer="",
        head="",
        loss="",
        metrics=(),
        labels=Labels(kind="values", names=("value",)),
        presets=(),
        examples="",
        baseline="operator:contains",
    )
    train = records(1.0, 3.0)
    assert fit_baseline(task, train, train[0]) is True  # that is, ``train[0] in train``
    (found,) = fit_baseline(replace(task, baseline=""), train, task.labels)(records(0.0))
    assert found.value == 2.0
