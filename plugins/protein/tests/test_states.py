"""Regression on hidden states: against scikit-learn, against leaving records out, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.kernel_ridge import KernelRidge

from labtune.builtin.heads import SequenceHead
from labtune.ragged import Ragged
from labtune.specs import Labels, Record
from labtune_protein.kernels.heads import GAIN, StatesHead
from labtune_protein.kernels.regression import NOISE
from labtune_protein.kernels.states import END, START, StatesPrior, describe
from labtune_protein.tokenizing import SequenceTokenizer

VALUES = Labels(kind="values", names=("value",))
CLASSES = Labels(kind="classes", names=("few", "many"))
WIDTH = 6


@pytest.fixture
def proteins(vocabulary):
    """Sixty sequences; what is measured is their share of lysine."""
    generator = np.random.default_rng(0)
    sequences = ["".join(generator.choice(list("AKLE"), generator.integers(20, 90))) for _ in range(60)]
    records = [Record(str(row), one, one.count("K") / len(one)) for row, one in enumerate(sequences)]
    return SequenceTokenizer(vocabulary, VALUES)(records)


def encode(batch):
    """States that know a letter and the one before it in the record."""
    table = torch.randn(64, WIDTH, generator=torch.Generator().manual_seed(1))
    return Ragged.from_rows([table[row] + 0.5 * table[row.roll(1)] for row in batch.tokens])


def test_a_record_is_described_by_mean_deviation_maximum_and_ends(proteins):
    hidden = encode(proteins)
    found = describe(hidden, proteins)
    for row, states in zip(found, hidden, strict=True):
        own = states[1:-1]  # without the special tokens
        expected = [own.mean(0), own.std(0, correction=0), own.amax(0), own[:START].mean(0), own[-END:].mean(0)]
        torch.testing.assert_close(row, torch.cat(expected), atol=1e-5, rtol=1e-5)


def test_new_records_are_told_what_kernel_ridge_of_scikit_learn_tells(proteins):
    known, asked = proteins.select(range(50)), proteins.select(range(50, 60))
    prior = StatesPrior(WIDTH, VALUES)
    prior.fit(known, encode)
    points = ((describe(encode(known), known) - prior.center) * prior.scale).double().numpy()
    assert (points**2).sum(1).mean() == pytest.approx(5, rel=1e-4)  # one for each of the five
    targets = known.targets.values.double().numpy().reshape(-1, 1)
    new = ((describe(encode(asked), asked) - prior.center) * prior.scale).double().numpy()
    told = prior.eval()(encode(asked), asked)[:, 0].numpy()
    gaps = []
    for noise in NOISE:
        other = KernelRidge(kernel="rbf", gamma=prior.sharpness.item(), alpha=noise)
        other.fit(points, targets - targets.mean())
        gaps.append(np.abs(other.predict(new)[:, 0] + targets.mean() - told).max())
    assert min(gaps) < 1e-3  # one noise is the chosen one; points are kept in 16 bits
    assert spearmanr(told, asked.targets.values.reshape(-1).numpy())[0] > 0.9


def test_a_training_record_is_told_what_the_others_say(proteins):
    prior = StatesPrior(WIDTH, VALUES)
    prior.fit(proteins, encode)
    learning, finished = (prior.train(mode)(encode(proteins), proteins)[:, 0] for mode in (True, False))
    truth = proteins.targets.values.reshape(-1)
    assert (finished - truth).abs().mean() < (learning - truth).abs().mean()
    assert torch.corrcoef(torch.stack([learning, truth]))[0, 1] > 0.9


def test_a_saved_head_predicts_the_same(proteins):
    head = StatesHead(WIDTH, VALUES)
    head.fit(proteins)
    head.settle(proteins, encode)
    other = StatesHead(WIDTH, VALUES)
    other.load_state_dict(head.state_dict())
    some = proteins.select([3, 1])
    found, again = (one.eval()(encode(some), some).logits.values for one in (head, other))
    torch.testing.assert_close(again, found)


def test_an_encoder_that_learns_gets_the_plain_head(proteins):
    torch.manual_seed(0)
    head = StatesHead(WIDTH, VALUES, pooling="mean").eval()
    plain = SequenceHead(WIDTH, VALUES, pooling="mean").eval()
    plain.load_state_dict({name: value for name, value in head.state_dict().items() if name in plain.state_dict()})
    for one in (head, plain):
        one.fit(proteins)
    hidden = encode(proteins)
    torch.testing.assert_close(head(hidden, proteins).logits.values, plain(hidden, proteins).logits.values)


def test_what_was_learned_is_added(proteins):
    head = StatesHead(WIDTH, VALUES)
    head.fit(proteins)
    head.settle(proteins, encode)
    head.eval()
    hidden = encode(proteins)
    before = head(hidden, proteins).logits.values
    head.linear.bias.data += 1.0
    after = head(hidden, proteins).logits.values
    torch.testing.assert_close(after - before, head.scale.spread.expand_as(before))


def test_shares_of_classes_become_logits(vocabulary, proteins):
    records = [Record(one.id, one.input, "many" if one.target > 0.25 else "few") for one in proteins.records]
    batch = SequenceTokenizer(vocabulary, CLASSES)(records)
    head = StatesHead(WIDTH, CLASSES)
    head.fit(batch)
    head.settle(batch, encode)
    head.linear.weight.data.zero_()
    head.eval()
    hidden = encode(batch)
    told = head.prior(hidden, batch)
    torch.testing.assert_close(told.sum(1), torch.ones(len(batch)), atol=1e-4, rtol=0)
    torch.testing.assert_close(head(hidden, batch).logits.values, GAIN * told)
    assert (told.argmax(1) == batch.targets.values).float().mean() > 0.9


def test_gradients_reach_the_states(proteins):
    """Explanations need them."""
    head = StatesHead(WIDTH, VALUES)
    head.fit(proteins)
    head.settle(proteins, encode)
    head.eval()
    head.linear.weight.data.zero_()
    hidden = encode(proteins)
    values = hidden.values.requires_grad_()
    head(Ragged(values, hidden.offsets), proteins).logits.values.sum().backward()
    assert values.grad is not None
    assert torch.isfinite(values.grad).all()
    assert values.grad.abs().sum() > 0
