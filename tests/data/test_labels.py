import math

import numpy as np
import pytest

from labtune.data.labels import check_labels, parse_target, resolve_labels
from labtune.errors import DataError
from labtune.specs import Labels, Record, Span


def parse(kind, target):
    return parse_target(Record("r", "x", target, source="f.csv:3"), Labels(kind=kind)).target


@pytest.mark.parametrize(
    ("kind", "target", "expected"),
    [
        ("classes", " up ", "up"),
        ("classes", 1, "1"),
        ("classes", 1.0, "1"),
        ("classes", "[UNK]", "[UNK]"),
        ("classes", ["H", None, ""], ["H", None, None]),
        ("multilabel", "a; b;", ["a", "b"]),
        ("multilabel", '["a;b"]', ["a;b"]),
        ("multilabel", "", []),
        ("values", "1e-3", 0.001),
        ("values", np.float32(0.5), 0.5),
        ("values", "[1, 2]", [1.0, 2.0]),
        ("values", np.array([1, 2]), [1.0, 2.0]),
        ("spans", [[0, 2, "X"], {"start": 3, "end": 4, "label": "Y"}], [Span(0, 2, "X"), Span(3, 4, "Y")]),
    ],
)
def test_targets_take_the_type_of_their_kind(kind, target, expected):
    assert parse(kind, target) == expected


def test_missing_numbers_in_a_list_are_nan():
    first, second, third = parse("values", [1, None, math.nan])
    assert first == 1
    assert math.isnan(second)
    assert math.isnan(third)


@pytest.mark.parametrize(
    ("kind", "target", "message"),
    [
        ("classes", "", "no label"),
        ("values", None, "no label"),
        ("values", "1,5", "'1,5' is not a finite number"),
        ("values", "inf", "not a finite number"),
        ("values", math.nan, "not a finite number"),
        ("values", True, "not a finite number"),
        ("values", "[1,", "not a JSON list"),
        ("multilabel", 3, "not a list of labels"),
        ("classes", {"a": 1}, "not the name of a class"),
        ("spans", [[2, 2, "X"]], "a span from 2 to 2"),
        ("spans", [[2, 3]], "not \\[start, end, label\\]"),
    ],
)
def test_errors_name_the_line(kind, target, message):
    with pytest.raises(DataError, match=f"f.csv:3: record 'r'.*{message}"):
        parse(kind, target)


def records(*targets):
    return [Record(f"r{index}", "x", target, source=f"f:{index}") for index, target in enumerate(targets)]


@pytest.mark.parametrize(
    ("kind", "targets", "names"),
    [
        ("classes", ["b", "a", "b"], ("a", "b")),
        ("classes", [["H", None], ["E"]], ("E", "H")),
        ("multilabel", [[], ["z", "y"]], ("y", "z")),
        ("spans", [[Span(0, 1, "G")], []], ("G",)),
        ("values", [1.0, 2.0], ("value",)),
        ("values", [[1.0, 2.0], [3.0, 4.0]], ("value_1", "value_2")),
        ("values", [[1.0, 2.0], [3.0]], ("value",)),
    ],
)
def test_names_come_from_training_data(kind, targets, names):
    assert resolve_labels(Labels(kind=kind), records(*targets)).names == names


def test_declared_names_stay():
    labels = Labels(kind="classes", names=("z", "a"))
    assert resolve_labels(labels, records("a")) == labels


def test_no_label_at_all():
    with pytest.raises(DataError, match="no label"):
        resolve_labels(Labels(kind="multilabel"), records([], []))


def test_unseen_label_names_record_and_split():
    labels = resolve_labels(Labels(kind="classes"), records("up", "down"))
    with pytest.raises(DataError, match=r"f:1: record 'r1': label 'dwn' of the test data.*'down'"):
        check_labels(labels, records("up", "dwn"), "test")


def test_class_without_training_example_is_told():
    labels = Labels(kind="spans", names=("A", "B"))
    (warning,) = check_labels(labels, records([Span(0, 1, "A")]), "train")
    assert "'B'" in warning
    assert check_labels(labels, records([Span(0, 1, "A")]), "valid") == []
