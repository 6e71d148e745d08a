"""Transforms, head and losses of numbers, against hand-worked values and torch's own."""

import pytest
import torch
from scipy.stats import rankdata

from labtune.errors import DataError, SettingsError
from labtune.protocols import Batch, Output
from labtune.ragged import Ragged
from labtune.specs import Labels, Record
from labtune_expression.head import QueryPool, ValueHead
from labtune_expression.losses import Gaussian, HuberError, Poisson, SquaredError
from labtune_expression.transforms import TargetTransform, restored, transformed

LABELS = Labels(kind="values", names=("leaf", "root"))
NAN = float("nan")
TARGETS = torch.tensor([[1.0, 10.0], [2.0, NAN], [4.0, 40.0], [8.0, 80.0], [16.0, 20.0]])


def batch(targets=TARGETS):
    records = [Record(id=str(row), input="A") for row in range(len(targets))]
    rows = Ragged.one_per_row(targets)
    return Batch(records, {"input_ids": Ragged.one_per_row(torch.zeros(len(targets), dtype=torch.long))}, targets=rows)


def hidden(width=6, rows=5):
    torch.manual_seed(0)
    return Ragged.one_per_row(torch.randn(rows, width))


def fitted(kind, targets=TARGETS):
    transform = TargetTransform(targets.shape[1], kind)
    transform.fit(targets)
    return transform.scale


@pytest.mark.parametrize("kind", ["standardise", "log", "rank"])
def test_transform_and_back(kind):
    scale = fitted(kind)
    scores = transformed(TARGETS, scale)
    assert torch.equal(scores.isnan(), TARGETS.isnan())
    torch.testing.assert_close(restored(scores, scale), TARGETS, equal_nan=True, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(scores.nanmean(0), torch.zeros(2), rtol=0, atol=1e-5)
    torch.testing.assert_close((scores**2).nanmean(0), torch.ones(2), rtol=1e-4, atol=1e-4)


def test_log_is_of_one_plus_the_number():
    scale = fitted("log")
    logs = TARGETS.log1p()
    expected = (logs[:, 0] - logs[:, 0].mean()) / logs[:, 0].std(correction=0)
    torch.testing.assert_close(transformed(TARGETS, scale)[:, 0], expected)


def test_ranks_of_many_targets_are_theirs_in_scipy():
    torch.manual_seed(0)
    targets = torch.randn(500, 1).exp()
    found = transformed(targets, fitted("rank", targets))[:, 0]
    ranks = torch.tensor(rankdata(targets[:, 0].numpy()))
    assert float(torch.corrcoef(torch.stack([found.double(), ranks]))[0, 1]) > 0.9999


def test_ranks_with_many_equal_targets_keep_their_gradient():
    targets = torch.cat([torch.zeros(90, 1), torch.rand(10, 1)])
    scale = fitted("rank", targets)
    scores = torch.linspace(-2, 2, 9)[:, None].requires_grad_()
    transformed(restored(scores, scale), scale).sum().backward()
    torch.testing.assert_close(scores.grad, torch.ones_like(scores), rtol=0.05, atol=0.05)


def test_transforms_refuse_what_they_cannot_take():
    with pytest.raises(DataError, match="negative"):
        fitted("log", torch.tensor([[-0.5], [1.0]]))
    with pytest.raises(DataError, match="no training target at all"):
        fitted("rank", torch.full((3, 1), NAN))
    with pytest.raises(SettingsError, match="standardise, log or rank"):
        TargetTransform(1, "sqrt")


@pytest.mark.parametrize("kind", ["standardise", "log", "rank"])
def test_squared_error_is_taken_on_the_transformed_scale(kind):
    head = ValueHead(6, LABELS, transform=kind).eval()
    head.fit(batch())
    output = head(hidden(), batch())
    pooled = head.pooling(hidden())
    scores = head.numbers(pooled[:, :, None])[:, :, 0]
    wanted = transformed(TARGETS, head.transform.scale)
    expected = ((scores - wanted) ** 2)[~TARGETS.isnan()].mean()
    torch.testing.assert_close(SquaredError(LABELS)(output, batch()), expected, rtol=1e-3, atol=1e-4)
    assert SquaredError(LABELS).count(batch()) == 9


def test_huber_is_torchs():
    head = ValueHead(6, LABELS).eval()
    head.fit(batch())
    output = head(hidden(), batch())
    scale = head.transform.scale
    known = ~TARGETS.isnan()
    pair = transformed(output.logits.values, scale)[known], transformed(TARGETS, scale)[known]
    expected = torch.nn.functional.huber_loss(*pair, delta=0.5)
    torch.testing.assert_close(HuberError(LABELS, delta=0.5)(output, batch()), expected)


def test_gaussian_without_weights_is_torchs_likelihood():
    head = ValueHead(6, LABELS, uncertainty=True).eval()
    head.fit(batch())
    output = head(hidden(), batch())
    values, log_variance = output.logits.values.chunk(2, dim=1)
    scale = head.transform.scale
    known = ~TARGETS.isnan()
    expected = torch.nn.functional.gaussian_nll_loss(
        transformed(values, scale)[known], transformed(TARGETS, scale)[known], log_variance.exp()[known], full=True
    )
    torch.testing.assert_close(Gaussian(LABELS, beta=0)(output, batch()), expected)


def test_gaussian_asks_for_a_head_with_uncertainty():
    head = ValueHead(6, LABELS)
    with pytest.raises(SettingsError, match=r"head\.uncertainty"):
        Gaussian(LABELS)(head(hidden(), batch()), batch())


def test_poisson_is_torchs_on_rates():
    head = ValueHead(6, LABELS, transform="log").eval()
    head.fit(batch())
    output = head(hidden(), batch())
    known = ~TARGETS.isnan()
    expected = torch.nn.functional.poisson_nll_loss(output.logits.values[known], TARGETS[known], log_input=False)
    torch.testing.assert_close(Poisson(LABELS)(output, batch()), expected)
    with pytest.raises(DataError, match="negative"):
        Poisson(LABELS).fit(batch(-TARGETS))


def test_losses_refuse_another_head():
    output = Output(Ragged.one_per_row(torch.zeros(5, 2)))
    with pytest.raises(SettingsError, match=r"expression\.values"):
        SquaredError(LABELS)(output, batch())


def test_members_learn_apart_and_predict_together():
    head = ValueHead(6, LABELS, members=3, queries=2).eval()
    head.fit(batch())
    output = head(hidden(), batch())
    values = output.logits.values.unflatten(1, (3, 2))
    wanted, scale = transformed(TARGETS, head.transform.scale), head.transform.scale
    known = ~TARGETS.isnan()
    apart = torch.stack([((transformed(values[:, m], scale) - wanted) ** 2)[known].mean() for m in range(3)])
    torch.testing.assert_close(SquaredError(LABELS)(output, batch()), apart.mean())
    decoded = torch.tensor([prediction.value for prediction in head.decode(output, batch())])
    torch.testing.assert_close(decoded, values.mean(1), rtol=1e-4, atol=1e-4)


def test_members_see_only_their_own_channels():
    head = ValueHead(6, LABELS, members=3).eval()
    first = hidden()
    second = first.with_values(torch.cat([first.values[:, :4], torch.randn(5, 2)], dim=1))
    a, b = (head(states, batch()).logits.values for states in (first, second))
    assert torch.equal(a[:, :4], b[:, :4])
    assert not torch.equal(a[:, 4:], b[:, 4:])


def test_standard_deviation_is_on_the_scale_of_the_targets():
    head = ValueHead(6, Labels(kind="values", names=("value",)), uncertainty=True).eval()
    data = batch(TARGETS[:, :1])
    head.fit(data)
    torch.nn.init.zeros_(head.log_variances.weight)
    for prediction in head.decode(head(hidden(), data), data):
        expected = float(TARGETS[:, 0].std(correction=0))
        assert prediction.details["standard_deviation"] == pytest.approx(expected, rel=1e-4)


def test_queries_pool_as_attention_worked_by_hand():
    pool = QueryPool(2, queries=1, members=1)
    with torch.no_grad():
        pool.weights.weight.copy_(torch.tensor([[[1.0], [0.0]]]))
        pool.weights.bias.zero_()
    states = Ragged.from_rows([[[0.0, 3.0], [1.0, 5.0]], [[7.0, 9.0]]])
    share = torch.tensor([0.0, 1.0]).softmax(0)
    expected = torch.stack([share[0] * states.values[0] + share[1] * states.values[1], states.values[2]])
    torch.testing.assert_close(pool(states), expected)
