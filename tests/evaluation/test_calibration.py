"""Calibration against scikit-learn and against what simulated models are known to need."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from labtune.builtin.chains import CrfTokenHead
from labtune.builtin.heads import SequenceHead, TokenHead
from labtune.evaluation.calibration import Calibration, cross_fitted, fit_calibration, read_scores, refine
from labtune.evaluation.rescaling import Scored, fit_isotonic, fit_vector, probabilities
from labtune.evaluation.temperature import Temperature
from labtune.inference import predict
from labtune.protocols import IGNORED, Batch, Output
from labtune.ragged import Ragged
from labtune.specs import Labels, Record

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
    found = fit_calibration(model, batch_of(truth), batch_tokens=512, device="cpu").temperature
    assert found.value == pytest.approx(1 / beta, rel=0.01)
    assert found.value == pytest.approx(2.5, rel=0.1)
    assert found.nll_after < found.nll_before
    assert found.records == 2000


def test_units_without_truth_do_not_count():
    logits, truth = simulated(1500)
    hidden = truth.clone()
    hidden[::2] = IGNORED
    head = TokenHead(4, CLASSES)
    whole = fit_calibration(
        GivenLogits(head, logits[1::2]), batch_of(truth[1::2], [5] * 150), batch_tokens=90, device="cpu"
    )
    found = fit_calibration(
        GivenLogits(head, logits), batch_of(hidden, [10] * 150 + [0]), batch_tokens=100, device="cpu"
    )
    assert found.temperature.value == pytest.approx(whole.temperature.value, rel=1e-3)


def test_no_prediction_changes_and_a_chain_is_tempered_whole():
    torch.manual_seed(0)
    head = CrfTokenHead(4, CLASSES).eval()
    for part in (head.transitions, head.start, head.end):
        torch.nn.init.normal_(part, std=2)
    logits, truth = simulated(60)
    model, data = GivenLogits(head, logits), batch_of(truth, [6] * 10)
    cold, warm = (predict(model, data, batch_tokens=30, adjust=Calibration(Temperature(value))) for value in (1.0, 3.0))
    assert [p.value for p in cold] == [p.value for p in warm]
    assert np.mean([p.confidence for p in warm]) < np.mean([p.confidence for p in cold])


def test_few_faultless_records_do_not_make_certain():
    truth = torch.arange(30) % 3
    logits = 3 * torch.nn.functional.one_hot(truth, 3).float()
    found = fit_calibration(
        GivenLogits(SequenceHead(4, CLASSES), logits), batch_of(truth), batch_tokens=64, device="cpu"
    )
    assert 0.2 < found.temperature.value < 1


def test_numbers_have_no_temperature():
    labels = Labels(kind="values", names=("value",))
    tokens = Ragged.one_per_row(torch.arange(20))
    data = Batch(
        [Record(str(i), "x", 1.0) for i in range(20)], {"input_ids": tokens}, targets=tokens.with_values(torch.ones(20))
    )
    found = fit_calibration(
        GivenLogits(SequenceHead(4, labels), torch.ones(20, 1)), data, batch_tokens=64, device="cpu"
    )
    assert (found.temperature.value, found.temperature.records) == (1.0, 0)


def drawn(logits, generator):
    """Scores whose truth is drawn from these logits."""
    chances = probabilities(logits, exclusive=True)
    return np.eye(logits.shape[1])[(generator.random(len(logits))[:, None] > chances.cumsum(-1)).sum(-1)]


def skewed(records=2000, seed=0, warp=lambda logits: logits * [1.0, 0.3, 1.0] + [0.0, 1.5, 0.0]):
    """A model whose logits are a warped view of the true ones."""
    generator = np.random.default_rng(seed)
    logits = 3 * generator.normal(size=(records, 3))
    return Scored(logits, drawn(warp(logits), generator), np.arange(records), True)


def test_vector_scaling_finds_weight_and_bias():
    found = fit_vector(skewed(20_000), 1.0)
    assert np.array(found.weight) == pytest.approx([1, 0.3, 1], abs=0.05)
    bias = np.array(found.bias) - found.bias[0]  # the same added to all changes nothing
    assert bias == pytest.approx([0, 1.5, 0], abs=0.1)


def test_two_classes_agree_with_logistic_regression():
    generator = np.random.default_rng(3)
    logits = generator.normal(size=(4000, 2))
    data = Scored(logits, drawn(2.0 * logits + [0.7, 0], generator), np.arange(4000), True)
    found = fit_vector(data, 1.0)
    other = LogisticRegression(C=1e6).fit(logits * [-1, 1], data.truth[:, 1])
    assert np.array(found.weight) == pytest.approx(other.coef_[0], rel=0.01)
    assert found.bias[1] - found.bias[0] == pytest.approx(other.intercept_[0], rel=0.02)


@pytest.mark.parametrize("fit", [fit_vector, fit_isotonic])
def test_labels_of_a_set_have_their_own_map(fit):
    generator = np.random.default_rng(4)
    logits = 2 * generator.normal(size=(5000, 2))
    chances = probabilities(logits * [0.5, 1] + [0, -1], exclusive=False)
    truth = (generator.random(chances.shape) < chances).astype(float)
    truth[::7, 0] = np.nan
    found = fit(Scored(logits, truth, np.arange(5000), False), 1.0)
    unseen = 2 * generator.normal(size=(3000, 2))
    told = probabilities(found(unseen, exclusive=False), exclusive=False)
    assert np.abs(told - probabilities(unseen * [0.5, 1] + [0, -1], exclusive=False)).mean() < 0.03


def test_isotonic_keeps_order_and_is_never_certain():
    data = skewed(500)
    found = fit_isotonic(data, 1.0)
    line = np.linspace(-9, 9, 200)
    chances = probabilities(found(np.stack([line, 0 * line, 0 * line], 1), exclusive=True), exclusive=True)[:, 0]
    assert (np.diff(chances) > 0).all()
    assert chances.min() > 0
    assert chances.max() < 1


def curved(logits):
    """Right in the middle, and never surer than a tenth from certainty: no affine map of the logits does this."""
    return 2.2 * np.tanh(logits / 1.2)


@pytest.mark.parametrize(
    ("warp", "method"),
    [
        (lambda logits: logits / 2, "temperature"),
        (lambda logits: logits * [1.0, 0.3, 1.0] + [0.0, 1.5, 0.0], "vector"),
    ],
)
def test_the_method_that_the_data_need_is_chosen(warp, method):
    data = skewed(2000, warp=warp)
    found = refine(data, Temperature(1.0, 2000))
    assert found.method == method
    assert found.losses.keys() == {"temperature", "vector", "isotonic"}
    unseen = skewed(4000, seed=9, warp=warp)
    chosen = unseen.logits / 2 if found.rescaling is None else found.rescaling(unseen.logits, exclusive=True)
    ideal = unseen.losses(warp(unseen.logits)).mean()
    assert unseen.losses(chosen).mean() < ideal + 0.01


def test_isotonic_is_chosen_where_no_line_fits():
    generator = np.random.default_rng(5)
    logits = np.stack([4 * generator.normal(size=4000), np.zeros(4000)], 1)
    truth = drawn(curved(logits), generator)
    assert refine(Scored(logits, truth, np.arange(4000), True), Temperature(1.0, 4000)).method == "isotonic"


def test_units_beyond_need_are_left_out(monkeypatch):
    seen = []

    def watch(data, *arguments):
        seen.append(len(data.logits))
        return cross_fitted(data, *arguments)

    monkeypatch.setattr("labtune.evaluation.calibration.MOST", 800)
    monkeypatch.setattr("labtune.evaluation.calibration.cross_fitted", watch)
    data = skewed(2000)
    found = refine(Scored(data.logits, data.truth, data.owner // 4, True), Temperature(1.0, 500))
    assert seen == [800]
    assert found.method == "vector"


def test_records_of_a_group_have_one_owner():
    data = skewed(60)
    batch = batch_of(torch.from_numpy(data.truth.argmax(1)))
    grouped = Batch(
        [replace(r, group=f"g{row // 2}") for row, r in enumerate(batch.records)], batch.inputs, targets=batch.targets
    )
    model = GivenLogits(SequenceHead(4, CLASSES), torch.tensor(data.logits, dtype=torch.float32))
    found = read_scores(model.head, [(grouped, model(grouped))])
    assert found.owner.tolist() == [row // 2 for row in range(60)]
    assert (found.truth == data.truth).all()


def test_few_cases_of_a_class_leave_the_temperature():
    data = skewed(2000)
    rare = data.at((data.truth[:, 2] == 0) | (np.cumsum(data.truth[:, 2]) < 15))
    assert refine(rare, Temperature(1.5, 2000)) == Calibration(Temperature(1.5, 2000))


def test_losses_are_of_records_that_were_not_fitted_on():
    """Truth without any pattern: what is fitted on it looks better than it is, unless it is measured on others."""
    generator = np.random.default_rng(6)
    data = Scored(np.log(np.full((300, 3), 1 / 3)), np.eye(3)[generator.integers(3, size=300)], np.arange(300), True)
    losses = cross_fitted(data, ["vector", "isotonic"])
    assert losses["temperature"].mean() == pytest.approx(np.log(3))
    assert min(losses[name].mean() for name in ("vector", "isotonic")) > np.log(3)


def test_the_head_decodes_what_was_calibrated():
    data = skewed(2000)
    truth = torch.from_numpy(data.truth.argmax(1))
    model = GivenLogits(SequenceHead(4, CLASSES), torch.tensor(data.logits, dtype=torch.float32))
    found = fit_calibration(model, batch_of(truth), batch_tokens=512, device="cpu")
    assert found.method == "vector"
    again = Calibration.from_json(json.loads(json.dumps(found.to_json())))
    predictions = predict(model, batch_of(truth), batch_tokens=512, adjust=again)
    told = np.array([prediction.probabilities for prediction in predictions])
    expected = probabilities(found.rescaling(data.logits, exclusive=True), exclusive=True)
    assert told == pytest.approx(expected, abs=1e-4)
    assert [p.value for p in predictions] == [CLASSES.names[row.argmax()] for row in told]
