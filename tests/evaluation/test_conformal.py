"""Thresholds against the quantile and cases worked by hand; coverage by simulation."""

import math

import numpy as np
import pytest

from labtune.errors import RunError
from labtune.evaluation.confidence import Confidence
from labtune.evaluation.conformal import Cases, calibrate, find_cases, find_thresholds, mark, realised
from labtune.specs import Labels, Prediction, Record, Span

CLASSES = Labels(kind="classes", names=("a", "b", "c"))
NUMBER = Labels(kind="values", names=("value",))
SPANS = Labels(kind="spans", names=("X",))


def single(scores):
    return Cases(np.asarray(scores, dtype=float), np.arange(len(scores)), np.ones(len(scores)), len(scores))


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9, 0.95])
@pytest.mark.parametrize("count", [5, 19, 20, 99, 100])
def test_with_one_case_a_record_it_is_the_usual_quantile(count, coverage):
    scores = np.random.default_rng(count).random(count)
    rank = math.ceil(round((count + 1) * coverage, 9))
    expected = math.inf if rank > count else np.sort(scores)[rank - 1]
    assert find_thresholds(single(scores), [coverage]) == [expected]


def test_shares_by_hand():
    """Two owners with two cases each, then one with none: budget 0.5 * 4 - 1 = 1, so two halves may be missed."""
    cases = Cases(np.array([0.9, 0.1, 0.8, 0.4]), np.array([0, 0, 1, 1]), np.full(4, 0.5), 3)
    assert find_thresholds(cases, [0.5, 0.2]) == [0.4, 0.0]  # at 0.2, 2.2 may be missed, and there are 2
    assert cases.losses(0.4).tolist() == [0.5, 0.5, 0]


def draw(generator, count, units=None):
    """Predictions whose probabilities are wrong (too sure), and truth; with unequal numbers of units."""
    predictions, records = [], []
    for row in range(count):
        size = 1 if units is None else int(generator.integers(1, units + 1))
        ease = generator.normal()  # units of a record go together
        logits = generator.normal(size=(size, 3)) * 2 + ease * np.array([1.5, 0, 0])
        chances = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        truth = [CLASSES.names[generator.choice(3, p=p)] for p in chances]
        sure = chances**3 / (chances**3).sum(-1, keepdims=True)
        value = [CLASSES.names[i] for i in sure.argmax(-1)]
        one = units is None
        predictions.append(Prediction(str(row), value[0] if one else value, None, sure[0] if one else sure))
        records.append(Record(str(row), "x", truth[0] if one else truth))
    return predictions, records


@pytest.mark.parametrize("units", [None, 8])
def test_coverage_holds_on_average(units):
    generator = np.random.default_rng(0)
    found = []
    for _ in range(30):
        conformal = calibrate(*draw(generator, 60, units), CLASSES, 0.9)
        predictions, records = draw(generator, 60, units)
        marked = mark(predictions, conformal, CLASSES, 0.9)
        shares = [
            np.mean([truth in some for truth, some in zip(record.target, one.details["set"], strict=True)])
            if units
            else record.target in one.details["set"]
            for one, record in zip(marked, records, strict=True)
        ]
        found.append(np.mean(shares))
        assert realised(marked, records, CLASSES, conformal, 0.9)["realised"]["value"] == pytest.approx(found[-1])
    error = np.std(found) / math.sqrt(len(found))
    assert 0.9 - 3 * error < np.mean(found) < 0.9 + 1 / 61 + 3 * error


def test_intervals_cover_and_are_as_wide_as_the_residuals():
    generator = np.random.default_rng(1)
    shares = []
    for _ in range(60):
        residuals = generator.normal(size=(2, 80))
        sides = [
            (
                [Prediction(str(i), float(r)) for i, r in enumerate(row)],
                [Record(str(i), "x", 0.0) for i in range(80)],
            )
            for row in residuals
        ]
        conformal = calibrate(*sides[0], NUMBER, 0.8)
        marked = mark(sides[1][0], conformal, NUMBER, 0.8)
        shares.append(np.mean([low <= 0 <= high for low, high in (one.details["interval"] for one in marked)]))
    assert np.mean(shares) == pytest.approx(0.8, abs=0.03)


def test_spans_that_are_wrong_are_not_answered_too_often():
    """Of each record's two spans the one is right with the chance of its confidence."""
    generator = np.random.default_rng(2)

    def spans(count):
        sure = generator.uniform(0.2, 1, size=(count, 2))
        right = generator.random((count, 2)) < sure
        predictions = [
            Prediction(str(i), [Span(0, 1, "X"), Span(2, 3, "X")], row.tolist()) for i, row in enumerate(sure)
        ]
        truth = [[span for span, ok in zip(predictions[0].value, row, strict=True) if ok] for row in right]
        return predictions, [Record(str(i), "x", some) for i, some in enumerate(truth)]

    errors = []
    for _ in range(60):
        conformal = calibrate(*spans(100), SPANS, 0.9)
        predictions, records = spans(100)
        marked = mark(predictions, conformal, SPANS, 0.9)
        wrong = [
            np.mean(
                [s not in r.target and not flag for s, flag in zip(one.value, one.details["abstained"], strict=True)]
            )
            for one, r in zip(marked, records, strict=True)
        ]
        errors.append(np.mean(wrong))
        assert realised(marked, records, SPANS, conformal, 0.9)["realised"]["value"] == pytest.approx(1 - errors[-1])
    assert 0.08 < np.mean(errors) < 0.105


def test_records_of_a_group_count_as_one():
    predictions = [Prediction(str(i), "a", None, np.array([0.8 - i / 10, 0.1, 0.1])) for i in range(4)]
    records = [Record(str(i), "x", "a", group="g" if i < 2 else None) for i in range(4)]
    [cases] = find_cases(predictions, records, CLASSES)
    assert cases.owners == 3
    assert cases.weight.tolist() == [0.5, 0.5, 1, 1]


def test_marks_of_a_class():
    predictions = [Prediction(str(i), "a", None, np.array([0.9, 0.05, 0.05])) for i in range(30)]
    conformal = calibrate(predictions, [Record(str(i), "x", "a") for i in range(30)], CLASSES)
    sure, torn = (Prediction("1", "a", None, np.array(row)) for row in ([0.95, 0.03, 0.02], [0.4, 0.35, 0.25]))
    assert [one.details for one in mark([sure, torn], conformal, CLASSES, 0.9)] == [
        {"set": ["a"], "abstained": False},
        {"set": [], "abstained": True},
    ]


def test_marks_of_a_label_set():
    labels = Labels(kind="multilabel", names=("a", "b"))
    predictions = [Prediction(str(i), ["a"], [0.7], np.array([0.7, 0.3])) for i in range(30)]
    conformal = calibrate(predictions, [Record(str(i), "x", ["a", "b"]) for i in range(30)], labels)
    [marked] = mark(predictions[:1], conformal, labels, 0.9)
    assert marked.details == {"set": ["a", "b"], "abstained": True}


def test_several_numbers_have_their_own_width():
    labels = Labels(kind="values", names=("x", "y"))
    predictions = [Prediction(str(i), [1.0, 20.0]) for i in range(30)]
    records = [Record(str(i), "x", [2.0, 10.0 if i else math.nan]) for i in range(30)]
    [marked, *_] = mark(predictions, calibrate(predictions, records, labels), labels, 0.9)
    assert marked.details == {"interval": [[0.0, 2.0], [10.0, 30.0]], "abstained": False}


def test_too_few_records_answer_nothing():
    predictions, records = [Prediction(str(i), 1.0) for i in range(5)], [Record(str(i), "x", 1.5) for i in range(5)]
    [marked, *_] = mark(predictions, calibrate(predictions, records, NUMBER), NUMBER, 0.9)
    assert marked.details == {"interval": None, "abstained": True}


def test_no_probabilities_no_sets():
    predictions, records = [Prediction("1", "a")], [Record("1", "x", "a")]
    assert calibrate(predictions, records, CLASSES) is None
    assert calibrate([], [], CLASSES) is None


def test_a_run_keeps_it(tmp_path):
    predictions, records = draw(np.random.default_rng(3), 30)
    saved = Confidence(conformal=calibrate(predictions, records, CLASSES, 0.123))
    saved.save(tmp_path)
    loaded = Confidence.load(tmp_path)
    assert loaded == saved
    assert loaded.conformal.at(0.99) == (math.inf,)
    assert loaded.conformal.at(0.905) == loaded.conformal.at(0.91)
    with pytest.raises(RunError, match="highest"):
        loaded.conformal.at(0.995)
    assert Confidence.load(tmp_path / "none") == Confidence()
    (tmp_path / "calibration.json").write_text("{}")
    with pytest.raises(RunError, match="damaged"):
        Confidence.load(tmp_path)
