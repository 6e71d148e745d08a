"""Losses against torch's own, and parts that add up to the whole."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from labtune.builtin.losses import BinaryCrossEntropy, CrossEntropy, Focal, Huber, MeanSquaredError
from labtune.errors import SettingsError
from labtune.protocols import IGNORED, Batch, Output
from labtune.ragged import Ragged
from labtune.specs import Labels, Record

CLASSES = Labels(kind="classes", names=("a", "b", "c"))
NAMES = Labels(kind="multilabel", names=("a", "b", "c"))
NUMBERS = Labels(kind="values", names=("x", "y", "z"))
LOGITS = torch.randn(8, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
CHOSEN = torch.tensor([0, 1, 2, IGNORED, 1, 0, IGNORED, 1])
SETS = torch.tensor([[1.0, 0, 1], [0, 0, 0], [float("nan"), 1, 0], [1, 1, 1]]).repeat(2, 1).double()
VALUES = torch.randn(8, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * torch.tensor(
    [1.0, 20, 0.1]
)
VALUES[2, 1] = float("nan")


def batch(targets: torch.Tensor) -> Batch:
    ids = Ragged.one_per_row(torch.zeros(len(targets), dtype=torch.long))
    records = [Record(str(row), "x") for row in range(len(targets))]
    return Batch(records, {"input_ids": ids}, targets=Ragged.one_per_row(targets))


def output(logits: torch.Tensor) -> Output:
    return Output(Ragged.one_per_row(logits))


ALL = [
    (lambda: CrossEntropy(CLASSES), CHOSEN),
    (lambda: CrossEntropy(CLASSES, class_weights="balanced", smoothing=0.1), CHOSEN),
    (lambda: Focal(CLASSES, class_weights="balanced"), CHOSEN),
    (lambda: BinaryCrossEntropy(NAMES), SETS),
    (lambda: MeanSquaredError(NUMBERS), VALUES),
    (lambda: Huber(NUMBERS, delta=0.5), VALUES),
]


@pytest.mark.parametrize(("build", "targets"), ALL)
def test_parts_weighed_by_their_counts_add_up(build, targets):
    """What a step adds up over its batches is the loss of the whole step, gradient included."""
    loss = build()
    if hasattr(loss, "fit"):
        loss.fit(batch(targets))
    whole = LOGITS.clone().requires_grad_()
    value = loss(output(whole), batch(targets))
    value.backward()
    cut = LOGITS.clone().requires_grad_()
    rows = [slice(0, 1), slice(1, 3), slice(3, 4), slice(4, 8)]
    total = loss.count(batch(targets))
    parts = [loss(output(cut[part]), batch(targets[part])) * loss.count(batch(targets[part])) / total for part in rows]
    sum(parts).backward()
    assert float(sum(parts)) == pytest.approx(float(value), abs=1e-12)
    assert torch.allclose(cut.grad, whole.grad, atol=1e-12)


@pytest.mark.parametrize(("build", "targets"), ALL)
def test_nothing_to_learn_from_is_zero_with_a_zero_gradient(build, targets):
    missing = torch.full_like(targets, IGNORED if targets.dtype == torch.long else float("nan"))
    logits = LOGITS.clone().requires_grad_()
    loss = build()
    value = loss(output(logits), batch(missing))
    value.backward()
    assert float(value) == 0
    assert loss.count(batch(missing)) == 0
    assert not logits.grad.any()


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_is_that_of_torch(smoothing):
    found = CrossEntropy(CLASSES, smoothing=smoothing)(output(LOGITS), batch(CHOSEN))
    assert float(found) == pytest.approx(float(F.cross_entropy(LOGITS, CHOSEN, label_smoothing=smoothing)))


def test_balanced_weights_average_to_one_and_each_class_counts_the_same():
    loss = CrossEntropy(CLASSES, class_weights="balanced")
    loss.fit(batch(CHOSEN))
    assert loss.weights.tolist() == pytest.approx([6 / 3 / 2, 6 / 3 / 3, 6 / 3 / 1])
    real = CHOSEN != IGNORED
    assert float(loss.weights[CHOSEN[real]].mean()) == pytest.approx(1)
    expected = F.cross_entropy(LOGITS, CHOSEN, weight=loss.weights.double())  # divides by the weights' sum, which is 6
    assert float(loss(output(LOGITS), batch(CHOSEN))) == pytest.approx(float(expected))


def test_a_class_without_training_data_weighs_nothing():
    loss = CrossEntropy(CLASSES, class_weights="balanced")
    loss.fit(batch(torch.tensor([0, 0, 1])))
    assert loss.weights.tolist() == pytest.approx([0.75, 1.5])
    assert torch.isfinite(loss(output(LOGITS), batch(CHOSEN)))


def test_focal_without_focus_is_cross_entropy():
    found = Focal(CLASSES, gamma=0)(output(LOGITS), batch(CHOSEN))
    assert float(found) == pytest.approx(float(F.cross_entropy(LOGITS, CHOSEN)))


def test_focal_by_hand():
    logits = torch.tensor([[0.8, 0.2]], dtype=torch.float64).log()
    two = Labels(kind="classes", names=("a", "b"))
    found = Focal(two, gamma=2)(output(logits), batch(torch.tensor([0])))
    assert float(found) == pytest.approx(-(0.2**2) * torch.tensor(0.8).log().item())


def test_binary_cross_entropy_leaves_unknown_answers_out():
    known = ~SETS.isnan()
    expected = F.binary_cross_entropy_with_logits(LOGITS[known], SETS[known])
    assert float(BinaryCrossEntropy(NAMES)(output(LOGITS), batch(SETS))) == pytest.approx(float(expected))
    assert BinaryCrossEntropy(NAMES).count(batch(SETS)) == 22


@pytest.mark.parametrize(
    ("loss", "reference"),
    [
        (MeanSquaredError(NUMBERS), F.mse_loss),
        (Huber(NUMBERS, delta=0.5), lambda a, b: F.huber_loss(a, b, delta=0.5)),
    ],
)
def test_number_losses_are_in_units_of_the_training_spread(loss, reference):
    real = ~VALUES.isnan()
    assert float(loss(output(LOGITS), batch(VALUES))) == pytest.approx(float(reference(LOGITS[real], VALUES[real])))
    loss.fit(batch(VALUES))
    spread = torch.stack([VALUES[real[:, column], column].std(correction=0) for column in range(3)])
    scaled = reference((LOGITS / spread)[real], (VALUES / spread)[real])
    assert float(loss(output(LOGITS), batch(VALUES))) == pytest.approx(float(scaled), rel=1e-6)


def test_constant_targets_do_not_divide_by_zero():
    loss = MeanSquaredError(Labels(kind="values", names=("x",)))
    loss.fit(batch(torch.full((4,), 3.0)))
    assert float(loss(output(torch.zeros(4, 1)), batch(torch.full((4,), 3.0)))) == 9


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: CrossEntropy(CLASSES, smoothing=1.0), "loss.smoothing is 1.0; it goes from 0 to below 1"),
        (lambda: CrossEntropy(CLASSES, class_weights="even"), "loss.class_weights is 'even'"),
        (lambda: Focal(CLASSES, gamma=-1), "loss.gamma is -1; it cannot be negative"),
        (lambda: Huber(NUMBERS, delta=0), "loss.delta is 0; it must be positive"),
        (
            lambda: CrossEntropy(CLASSES, class_weights=[1, 1, 1, 1])(output(LOGITS), batch(CHOSEN)),
            "loss.class_weights has 4 numbers, but there are 3 classes",
        ),
    ],
)
def test_wrong_options(build, message):
    with pytest.raises(SettingsError, match=message):
        build()
