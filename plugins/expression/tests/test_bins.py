"""Numbers as shares of bins, against cases worked by hand."""

import math

import pytest
import torch

from labtune.errors import SettingsError
from labtune.protocols import Batch
from labtune.ragged import Ragged
from labtune.specs import Labels, Record
from labtune_expression.bins import Bins, softened, variance
from labtune_expression.head import ValueHead, log_shares_of
from labtune_expression.losses import Gaussian, HuberError, Poisson, SoftBins, SquaredError
from labtune_expression.transforms import restored

LABELS = Labels(kind="values", names=("leaf", "root"))
NAN = float("nan")
TARGETS = torch.tensor([[1.0, 10.0], [2.0, NAN], [4.0, 40.0], [8.0, 80.0], [16.0, 20.0]])


def batch(targets=TARGETS):
    records = [Record(id=str(row), input="A") for row in range(len(targets))]
    ids = Ragged.one_per_row(torch.zeros(len(targets), dtype=torch.long))
    return Batch(records, {"input_ids": ids}, targets=Ragged.one_per_row(targets))


def fitted(**options):
    torch.manual_seed(0)
    head = ValueHead(6, LABELS, bins=5, **options).eval()
    head.fit(batch())
    return head


def hidden():
    torch.manual_seed(1)
    return Ragged.one_per_row(torch.randn(5, 6))


def test_softening_by_hand():
    centers = torch.tensor([[0.0, 1.0, 2.0]])
    weights = [math.exp(-0.5 * distance**2) for distance in (0.5, 0.5, 1.5)]
    expected = torch.tensor([[weight / sum(weights) for weight in weights]])
    torch.testing.assert_close(softened(torch.tensor([0.5]), centers), expected)
    torch.testing.assert_close(softened(torch.tensor([9.0]), centers), softened(torch.tensor([2.0]), centers))


def test_average_and_variance_by_hand():
    bins = Bins(1, 3)
    bins.centers.copy_(torch.tensor([[-1.0, 0.0, 3.0]]))
    log_shares, average = bins(torch.tensor([[0.5, 0.25, 0.25]]).log())
    torch.testing.assert_close(average, torch.tensor([0.25]))
    torch.testing.assert_close(variance(log_shares, bins.centers), torch.tensor([0.5 + 0.25 * 9 - 0.25**2]))


@pytest.mark.parametrize("transform", ["standardise", "log", "rank"])
def test_bins_span_the_targets_on_every_scale(transform):
    head = fitted(transform=transform)
    ends = restored(head.bins.centers[:, [0, -1]].T, head.transform.scale)  # (2, L)
    torch.testing.assert_close(ends, torch.tensor([[1.0, 10.0], [16.0, 80.0]]), rtol=0.05, atol=0.05)


def test_loss_is_torchs_cross_entropy_with_shares():
    head = fitted(members=2)
    output = head(hidden(), batch())
    assert output.logits.values.shape == (5, 2 * 2 + 2 * 2 * 5)
    scale = head.transform.scale
    wanted = (TARGETS - scale["center"]) / scale["spread"]
    terms = []
    for member in range(2):
        for column in range(2):
            known = ~TARGETS[:, column].isnan()
            shares = softened(wanted[known, column, None], head.bins.centers[column, None])[:, 0]
            logits = log_shares_of(output, 2)[known, member, column]
            terms.append(torch.nn.functional.cross_entropy(logits, shares, reduction="sum"))
    torch.testing.assert_close(SoftBins(LABELS)(output, batch()), sum(terms) / 2 / 9)


def test_a_head_that_is_sure_says_so():
    head = fitted()
    torch.nn.init.zeros_(head.numbers.weight)
    with torch.no_grad():
        head.numbers.bias.view(2, 5)[:, 2] = 50.0
    found = head.decode(head(hidden(), batch()), batch())[0]
    middle = restored(head.bins.centers[:, 2][None], head.transform.scale)[0]
    assert found.value == pytest.approx(middle.tolist(), rel=1e-4)
    assert max(found.details["standard_deviation"]) < 1e-3


def test_what_is_explained_is_what_is_predicted():
    for options in ({"members": 2}, {"transform": "log"}):
        head = fitted(**options)
        output = head(hidden(), batch())
        numbers = torch.tensor([one.value for one in head.decode(output, batch())])
        torch.testing.assert_close(head.explained(output), numbers, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("transform", ["standardise", "log", "rank"])
@pytest.mark.parametrize(
    ("loss", "options"),
    [
        (SquaredError, {}),
        (HuberError, {}),
        (Gaussian, {"uncertainty": True}),
        (SoftBins, {"bins": 24, "members": 2}),
    ],
)
def test_every_loss_learns_on_every_scale(loss, options, transform):
    learn(loss, options, transform)


def test_counts_are_learned_on_the_scale_of_logarithms():
    learn(Poisson, {}, "log")
    with pytest.raises(SettingsError, match=r"head\.transform to log"):
        learn(Poisson, {}, "rank")


def learn(loss, options, transform):
    """Fit five records to within a fifth of their spread."""
    torch.manual_seed(0)
    head, penalty, data = ValueHead(6, LABELS, transform=transform, dropout=0.0, **options), loss(LABELS), batch()
    head.fit(data)
    optimiser = torch.optim.Adam(head.parameters(), lr=0.05)
    for _ in range(300):
        optimiser.zero_grad()
        penalty(head(hidden(), data), data).backward()
        optimiser.step()
    numbers = torch.tensor([one.value for one in head.decode(head(hidden(), data), data)])
    known = ~TARGETS.isnan()
    spread = TARGETS[known].std()
    assert float((numbers - TARGETS)[known].abs().max()) < 0.2 * spread


def test_what_does_not_go_together_is_refused():
    assert fitted().needs_loss == "expression.bins"
    assert ValueHead(6, LABELS).needs_loss is None
    with pytest.raises(SettingsError, match=r"leave head\.uncertainty out"):
        ValueHead(6, LABELS, bins=5, uncertainty=True)
    with pytest.raises(SettingsError, match="2 is the least"):
        ValueHead(6, LABELS, bins=1)
    head = ValueHead(6, LABELS)
    with pytest.raises(SettingsError, match=r"set head\.bins"):
        SoftBins(LABELS)(head(hidden(), batch()), batch())
    output = fitted()(hidden(), batch())
    assert bool(SquaredError(LABELS)(output, batch()) > 0)  # any other loss still reads the numbers
