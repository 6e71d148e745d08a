"""Temperature against scikit-learn's, calibration error against cases worked by hand and simulation."""

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator

from labtune.builtin.chains import CrfTokenHead
from labtune.builtin.heads import SequenceHead, TokenHead
from labtune.evaluation.calibration import (
    calibration_scores,
    calibration_sections,
    decisions,
    expected_calibration_error,
    fit_temperature,
    reliability,
)
from labtune.inference import predict
from labtune.protocols import IGNORED, Batch, Output
from labtune.ragged import Ragged
from labtune.specs import Labels, Prediction, Record, Span

CLASSES = Labels(kind="classes", names=("a", "b", "c"))


class GivenLogits(torch.nn.Module):
    """A model whose logits are looked up by the token of each unit or record."""

    def __init__(self, head, logits):
        super().__init__()
        self.head, self.logits = head, logits

    def forward(self, batch):
        rows = self.logits[batch.inputs["input_ids"].values]
        extras = self.head.chain.extras if hasattr(self.head, "chain") else {}
        return Output(batch.inputs["input_ids"].with_values(rows), extras)


def simulated(records=3000, temperature=2.5, seed=0):
    """Logits that are too sure by a temperature, and classes drawn from the tempered probabilities."""
    generator = np.random.default_rng(seed)
    logits = 4 * generator.normal(size=(records, 3))
    chances = np.exp(logits / temperature)
    chances /= chances.sum(-1, keepdims=True)
    truth = (generator.random(records)[:, None] > chances.cumsum(-1)).sum(-1)
    return torch.tensor(logits, dtype=torch.float32), torch.tensor(truth)


def batch_of(truth, lengths=None, labels=CLASSES):
    lengths = [1] * len(truth) if lengths is None else lengths
    tokens = Ragged.from_rows(torch.arange(len(truth)).split(lengths))
    targets = Ragged.from_rows(truth.split(lengths))
    names = [[None if i == IGNORED else labels.names[i] for i in row] for row in targets]
    records = [Record(str(i), "x", row if lengths != [1] * len(truth) else row[0]) for i, row in enumerate(names)]
    units = None if lengths == [1] * len(truth) else tokens
    return Batch(records, {"input_ids": tokens}, units=units, targets=targets)


def test_temperature_is_found_and_agrees_with_scikit_learn():
    logits, truth = simulated(2000)

    class Fixed(ClassifierMixin, BaseEstimator):
        classes_ = np.arange(3)

        def __sklearn_is_fitted__(self):
            return True

        def fit(self, x, y):
            return self

        def decision_function(self, x):
            return x

        def predict(self, x):
            return x.argmax(-1)

    other = CalibratedClassifierCV(FrozenEstimator(Fixed()), method="temperature").fit(logits.numpy(), truth.numpy())
    beta = other.calibrated_classifiers_[0].calibrators[0].beta_
    model = GivenLogits(SequenceHead(4, CLASSES), logits)
    found = fit_temperature(model, batch_of(truth), batch_tokens=512, device="cpu")
    assert found.value == pytest.approx(1 / beta, rel=0.01)
    assert found.value == pytest.approx(2.5, rel=0.1)
    assert found.nll_after < found.nll_before
    assert found.records == 2000


def test_units_without_truth_do_not_count():
    logits, truth = simulated(1500)
    hidden = truth.clone()
    hidden[::2] = IGNORED
    head = TokenHead(4, CLASSES)
    whole = fit_temperature(
        GivenLogits(head, logits[1::2]), batch_of(truth[1::2], [5] * 150), batch_tokens=90, device="cpu"
    )
    found = fit_temperature(
        GivenLogits(head, logits), batch_of(hidden, [10] * 150 + [0]), batch_tokens=100, device="cpu"
    )
    assert found.value == pytest.approx(whole.value, rel=1e-3)


def test_no_prediction_changes_and_a_chain_is_tempered_whole():
    torch.manual_seed(0)
    head = CrfTokenHead(4, CLASSES).eval()
    for part in (head.transitions, head.start, head.end):
        torch.nn.init.normal_(part, std=2)
    logits, truth = simulated(60)
    model, data = GivenLogits(head, logits), batch_of(truth, [6] * 10)
    cold, warm = (predict(model, data, batch_tokens=30, temperature=value) for value in (1.0, 3.0))
    assert [p.value for p in cold] == [p.value for p in warm]
    assert np.mean([p.confidence for p in warm]) < np.mean([p.confidence for p in cold])


def test_few_faultless_records_do_not_make_certain():
    truth = torch.arange(30) % 3
    logits = 3 * torch.nn.functional.one_hot(truth, 3).float()
    found = fit_temperature(
        GivenLogits(SequenceHead(4, CLASSES), logits), batch_of(truth), batch_tokens=64, device="cpu"
    )
    assert 0.2 < found.value < 1


def test_numbers_have_no_temperature():
    labels = Labels(kind="values", names=("value",))
    tokens = Ragged.one_per_row(torch.arange(20))
    data = Batch(
        [Record(str(i), "x", 1.0) for i in range(20)], {"input_ids": tokens}, targets=tokens.with_values(torch.ones(20))
    )
    found = fit_temperature(
        GivenLogits(SequenceHead(4, labels), torch.ones(20, 1)), data, batch_tokens=64, device="cpu"
    )
    assert (found.value, found.records) == (1.0, 0)


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
    [section] = calibration_sections(decided, 1.0)
    assert section.diagonal


def test_numbers_have_no_confidence():
    labels = Labels(kind="values", names=("value",))
    decided = decisions([Prediction("1", 0.5)], [Record("1", "x", 0.4)], labels)
    assert calibration_scores(decided) == {}
    assert calibration_sections(decided, 1.0) == []
