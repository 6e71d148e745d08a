"""Default views: what they say is worked out by hand on a few records."""

import numpy as np
import pytest

from labtune.evaluation.sections import Examples, Matrix, Scatter, Segment, Table, from_json, to_json
from labtune.evaluation.views import MATRIX_LABELS, WORST, default_views
from labtune.specs import Labels, Prediction, Record

CLASSES = Labels(kind="classes", names=("a", "b", "c"))


def records(targets, inputs=None):
    return [Record(f"r{row}", inputs[row] if inputs else f"text {row}", target) for row, target in enumerate(targets)]


def predictions(values, confidences=None):
    return [Prediction(f"r{row}", value, confidences[row] if confidences else None) for row, value in enumerate(values)]


def test_classes_by_hand():
    truth, predicted = ["a", "a", "a", "b", None], ["a", "a", "b", "b", "a"]
    table, matrix, worst = default_views(predictions(predicted, [0.9, 0.8, 0.7, 0.6, 1.0]), records(truth), CLASSES)
    assert isinstance(table, Table)
    assert isinstance(matrix, Matrix)
    assert isinstance(worst, Examples)
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["a"] == pytest.approx((1.0, 2 / 3, 0.8, 3, 2))
    assert rows["b"] == pytest.approx((0.5, 1.0, 2 / 3, 1, 2))
    assert rows["c"] == (None, None, None, 0, 0)  # nothing true, nothing predicted: no score
    assert matrix.values == ((2, 1, 0), (0, 1, 0), (0, 0, 0))
    assert [(item.id, item.headline) for item in worst.items] == [("r2", "b for a, with confidence 0.70")]
    assert worst.items[0].segments == (Segment("text 2"),)


def test_a_class_that_training_never_saw_has_its_row():
    table, matrix, _ = default_views(predictions(["a", "b"]), records(["a", "new"]), CLASSES)
    assert [row[0] for row in table.rows] == ["a", "b", "c", "new"]
    assert matrix.values[3] == (0, 1, 0, 0)


def test_units_are_counted_one_by_one_and_shown_in_context():
    truth = [["a", None, "b"], ["a", "a"]]
    guess = [["a", "a", "a"], ["b", "a"]]
    inputs = [["one", "two", "three"], ["four", "five"]]
    found = predictions(guess, [[0.9, 0.9, 0.6], [0.8, 0.9]])
    _, matrix, worst = default_views(found, records(truth, inputs), CLASSES)
    assert matrix.values == ((2, 1, 0), (1, 0, 0), (0, 0, 0))
    assert [item.id for item in worst.items] == ["r1", "r0"]
    assert worst.items[0].segments == (Segment(""), Segment("four", "a", "b"), Segment(" five"))
    assert worst.items[1].segments == (Segment("one two "), Segment("three", "b", "a"), Segment(""))


def test_characters_are_units_too():
    *_, worst = default_views(predictions([["a", "b"]]), records([["a", "a"]], ["XY"]), CLASSES)
    assert worst.items[0].segments == (Segment("X"), Segment("Y", "a", "b"), Segment(""))


def test_long_records_are_cut_around_the_error():
    words = [f"w{index}" for index in range(100)]
    guess = ["a"] * 50 + ["b"] + ["a"] * 49
    *_, worst = default_views(predictions([guess]), records([["a"] * 100], [words]), CLASSES)
    before, error, after = worst.items[0].segments
    assert (before.text[:5], before.text[-4:]) == ("… w25", "w49 ")
    assert error.text == "w50"
    assert (after.text[:4], after.text[-5:]) == (" w51", "w75 …")


def test_many_classes_are_pooled_and_nothing_is_lost():
    names = tuple(f"c{index:02}" for index in range(50))
    truth = [name for index, name in enumerate(names) for _ in range(50 - index)]
    _, matrix, _ = default_views(
        predictions(truth[1:] + truth[:1]), records(truth), Labels(kind="classes", names=names)
    )
    assert len(matrix.row_labels) == MATRIX_LABELS
    assert matrix.row_labels[-1] == "31 others"
    assert np.sum(matrix.values) == len(truth)


def test_only_the_worst_errors_are_shown():
    count = WORST + 5
    found = predictions(["b"] * count, np.linspace(0.5, 0.9, count).tolist())
    *_, worst = default_views(found, records(["a"] * count), CLASSES)
    assert [item.id for item in worst.items] == [f"r{row}" for row in range(count - 1, count - 1 - WORST, -1)]


def test_no_errors_no_examples():
    views = default_views(predictions(["a", "b"]), records(["a", "b"]), CLASSES)
    assert not any(isinstance(view, Examples) for view in views)


def test_multilabel_by_hand():
    labels = Labels(kind="multilabel", names=("x", "y"))
    found = [
        Prediction("r0", ["x"], [0.9], np.array([0.9, 0.2])),
        Prediction("r1", ["x", "y"], [0.8, 0.7], np.array([0.8, 0.7])),
        Prediction("r2", [], [], np.array([0.3, 0.05])),
    ]
    table, worst = default_views(found, records([["x"], ["x"], ["y"]]), labels)
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["x"] == pytest.approx((1.0, 1.0, 1.0, 2, 2))
    assert rows["y"] == pytest.approx((0.0, 0.0, 0.0, 1, 1))
    # r2 missed y with probability 0.95 against it; r1 added y with 0.7
    assert [(item.id, item.headline) for item in worst.items] == [("r2", "missed y"), ("r1", "wrongly y")]


def test_values_by_hand():
    labels = Labels(kind="values", names=("score",))
    plot, table, worst = default_views(predictions([1.5, 2.0, -1.0, 7.0]), records([1.0, 2.0, 3.0, None]), labels)
    assert isinstance(plot, Scatter)
    assert plot.points == ((1.0, 1.5), (2.0, 2.0), (3.0, -1.0))
    assert table.rows[0][:4] == ("value", 3, pytest.approx(-3.5 / 3), 0.5)
    assert table.rows[0][5] == 4.0
    assert worst.items[0].headline == "predicted -1 for 3, off by -4"


def test_several_targets_have_their_own_plots():
    labels = Labels(kind="values", names=("height", "weight"))
    *plots, table, _ = default_views(predictions([[1.0, 5.0], [2.0, 6.0]]), records([[1.5, None], [2.5, 6.5]]), labels)
    assert [plot.title for plot in plots] == ["Predicted against true height", "Predicted against true weight"]
    assert plots[1].points == ((6.5, 6.0),)
    assert [row[:2] for row in table.rows] == [("height", 2), ("weight", 1)]


@pytest.mark.parametrize("kind", ["classes", "multilabel", "values", "spans"])
def test_nothing_to_judge(kind):
    labels = Labels(kind=kind, names=("a",))
    assert default_views([], [], labels) == []
    assert default_views(predictions([None]), records([None]), labels) == []


def test_views_survive_json():
    for view in default_views(predictions(["a", "b"]), records(["a", "a"]), CLASSES):
        assert from_json(to_json(view)) == view
