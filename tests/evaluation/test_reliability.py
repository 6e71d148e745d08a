"""Calibration error against cases worked by hand and simulation."""

import numpy as np
import pytest

from labtune.evaluation.reliability import (
    calibration_scores,
    calibration_sections,
    decisions,
    expected_calibration_error,
    reliability,
)
from labtune.specs import Labels, Prediction, Record, Span

CLASSES = Labels(kind="classes", names=("a", "b", "c"))


def test_calibration_error_by_hand():
    confidence, correct = np.array([0.6, 0.6, 0.9, 0.9]), np.array([1.0, 0.0, 1.0, 1.0])
    bins = reliability(confidence, correct, bins=2)
    assert np.array(bins) == pytest.approx(np.array([(0.6, 0.5, 2), (0.9, 1.0, 2)]))
    assert expected_calibration_error(bins) == pytest.approx(0.1)
    weighted = reliability(confidence, correct, np.array([3.0, 1, 2, 2]), bins=2)
    assert expected_calibration_error(weighted) == pytest.approx((4 * 0.15 + 4 * 0.1) / 8)


def test_bins_hold_equal_shares_and_equal_confidences_stay_together():
    generator = np.random.default_rng(0)
    confidence = generator.beta(8, 1, size=3000)
    bins = reliability(confidence, confidence > 0.5)
    assert len(bins) == 15
    assert {round(bin_.weight) for bin_ in bins} <= set(range(190, 211))
    assert len(reliability(np.full(100, 0.7), np.ones(100))) == 1


def test_a_calibrated_model_is_near_zero_and_an_overconfident_one_is_not():
    generator = np.random.default_rng(1)
    confidence = generator.uniform(0.5, 1, size=20_000)
    right = (generator.random(20_000) < confidence).astype(float)
    assert expected_calibration_error(reliability(confidence, right)) < 0.015
    over = (generator.random(20_000) < confidence - 0.2).astype(float)
    assert expected_calibration_error(reliability(confidence, over)) == pytest.approx(0.2, abs=0.02)


def test_decisions_of_each_kind():
    units = decisions(
        [Prediction("1", ["a", "b", "c"], [0.5, 0.6, 0.7])], [Record("1", "x", ["a", None, "b"])], CLASSES
    )
    assert (units.confidence.tolist(), units.correct.tolist()) == ([0.5, 0.7], [1, 0])
    spans = decisions(
        [Prediction("1", [Span(0, 2, "X"), Span(3, 4, "X")], [0.9, 0.4]), Prediction("2", [], [])],
        [Record("1", "x", [Span(0, 2, "X")]), Record("2", "x", [Span(0, 1, "X")])],
        Labels(kind="spans", names=("X",)),
    )
    assert (spans.confidence.tolist(), spans.correct.tolist(), spans.row.tolist()) == ([0.9, 0.4], [1, 0], [0, 0])
    sets = decisions(
        [Prediction("1", ["a"], [0.75], np.array([0.75, 0.25, 0.0]))],
        [Record("1", "x", ["a", "b"])],
        Labels(kind="multilabel", names=("a", "b", "c")),
    )
    assert (sets.confidence.tolist(), sets.correct.tolist()) == ([0.75, 0.75, 1.0], [1, 0, 1])


def test_every_record_counts_once_per_record():
    predictions = [Prediction("1", ["a"] * 9, [0.9] * 9), Prediction("2", ["a"], [0.5])] * 20
    decided = decisions(predictions, [Record("1", "x", ["a"] * 9), Record("2", "x", ["b"])] * 20, CLASSES)
    found = calibration_scores(decided)
    assert found["ece"] == pytest.approx((9 * 0.1 + 0.5) / 10)
    assert found["ece_per_record"] == pytest.approx((0.1 + 0.5) / 2)
    [section] = calibration_sections(decided, "a temperature of 1")
    assert section.diagonal


def test_numbers_have_no_confidence():
    labels = Labels(kind="values", names=("value",))
    decided = decisions([Prediction("1", 0.5)], [Record("1", "x", 0.4)], labels)
    assert calibration_scores(decided) == {}
    assert calibration_sections(decided, "a temperature of 1") == []
