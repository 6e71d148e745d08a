"""Regression on descriptors: against scikit-learn, against leaving records out one by one, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge
from sklearn.preprocessing import PowerTransformer

from labtune.specs import Labels, Record
from labtune_protein.data import class_examples, sequence_sample
from labtune_protein.kernels.descriptors import PROPERTY, Composition, Sites
from labtune_protein.kernels.heads import GAIN, KernelHead, VariantHead
from labtune_protein.kernels.prior import KernelPrior
from labtune_protein.kernels.regression import NOISE, SHARPNESS, KernelRegression
from labtune_protein.kernels.warp import Warp
from labtune_protein.reading import read_sequences
from labtune_protein.tokenizing import SequenceTokenizer

VALUES = Labels(kind="values", names=("value",))


@pytest.fixture
def points():
    generator = np.random.default_rng(1)
    return generator.normal(size=(40, 5)), generator.normal(size=(40, 2))


def test_the_same_as_kernel_ridge_of_scikit_learn(points):
    x, y = points
    regression = KernelRegression(0.2, 0.5)
    weights, _ = regression.fit(x[:30], y[:30])
    other = KernelRidge(kernel="rbf", gamma=0.2, alpha=0.5).fit(x[:30], y[:30])
    np.testing.assert_allclose(regression.predict(x[30:], x[:30], weights), other.predict(x[30:]), rtol=1e-8)


def test_a_held_out_record_is_told_what_a_fit_without_it_says(points):
    x, y = points
    regression = KernelRegression(0.2, 0.5)
    _, told = regression.fit(x, y)
    for row in (0, 17, 39):
        others = np.arange(len(x)) != row
        weights, _ = regression.fit(x[others], y[others])
        np.testing.assert_allclose(told[row], regression.predict(x[[row]], x[others], weights)[0], rtol=1e-8)


def test_the_choice_is_the_least_sharp_of_those_about_as_good(points):
    x, _ = points
    y = np.sin(2 * x[:, :1])
    chosen = KernelRegression.choose(x, y)
    errors = {
        (sharpness, noise): ((KernelRegression(sharpness, noise).fit(x, y)[1] - y) ** 2)[:, 0]
        for sharpness in SHARPNESS
        for noise in NOISE
    }
    best = min(errors.values(), key=np.mean)
    limit = best.mean() + best.std() / np.sqrt(len(best))
    assert errors[chosen.sharpness, chosen.noise].mean() <= limit + 1e-9
    good = [key[0] for key, error in errors.items() if error.mean() <= limit]
    assert chosen.sharpness == min(good)


def test_a_line_is_found_by_the_least_sharp_kernel():
    x = np.random.default_rng(3).normal(size=(80, 3))
    y = x @ np.array([[1.0], [-2.0], [0.5]])
    chosen = KernelRegression.choose(x, y)
    assert chosen.sharpness == min(SHARPNESS)
    _, told = chosen.fit(x, y)
    assert np.corrcoef(told[:, 0], y[:, 0])[0, 1] > 0.999


def test_sites_are_differences_to_the_most_frequent_letters():
    sites = Sites(["AAKC", "AAKC", "AAKD"])
    assert sites.varying.tolist() == [3]
    plain, changed = sites(["AAKC", "AAKD"]).toarray()
    assert not plain.any()
    letters = "ACDEFGHIKLMNPQRSTVWY"
    assert changed[letters.index("D")] == 1
    assert changed[letters.index("C")] == -1
    assert np.count_nonzero(changed[:20]) == 2


def test_similar_substitutions_are_nearer_than_different_ones():
    sites = Sites(["A", "L", "I", "D"])
    leucine, isoleucine, aspartate = sites(["L", "I", "D"]).toarray()
    assert ((leucine - isoleucine) ** 2).sum() < ((leucine - aspartate) ** 2).sum()
    assert ((leucine - isoleucine) ** 2).sum() > 2  # two letters differ as such, beside their properties
    assert PROPERTY < 1


def test_every_block_of_a_composition_has_the_spread_of_its_weight():
    sequences = [record.input for record in read_sequences(sequence_sample()["train"], labelled=False)]
    points = Composition(sequences)(sequences)
    assert points[:, :21].var() * 21 == pytest.approx(1.0)
    assert points[:, 21 : 21 + 441].var() * 441 == pytest.approx(1.0)
    assert points[:, -1].var() == pytest.approx(0.3)
    np.testing.assert_allclose(points.mean(0), 0, atol=1e-9)


def test_the_way_back_is_that_of_scikit_learn_inside_and_straight_outside():
    numbers = np.random.default_rng(2).lognormal(size=(200, 1))
    warp = Warp(numbers)
    np.testing.assert_allclose(warp.back(warp(numbers)), numbers, rtol=1e-6)
    other = PowerTransformer().fit(numbers / numbers.std())
    np.testing.assert_allclose(warp(numbers), other.transform(numbers / numbers.std()))
    ends = warp.back(warp.high + np.array([[0.0], [1.0], [2.0], [50.0]]))[:, 0]
    assert np.diff(ends)[1] == pytest.approx(np.diff(ends)[0])
    assert np.isfinite(ends).all()
    assert (np.diff(ends) > 0).all()


def test_a_column_of_one_value_stays_it():
    warp = Warp(np.full((5, 1), 3.0))
    np.testing.assert_allclose(warp.back(warp(np.full((2, 1), 3.0))), 3.0)


@pytest.fixture
def variants(vocabulary):
    letters = "ACDEFGHIKLMNPQRSTVWY"
    rows = [(first + second, float(first in "KR") - 2 * float(second in "DE")) for first in letters for second in "ADK"]
    records = [Record(str(row), f"M{pair}G", value) for row, (pair, value) in enumerate(rows)]
    return SequenceTokenizer(vocabulary, VALUES)(records)


def test_training_records_are_told_what_others_say_and_new_ones_what_all_say(variants):
    prior = KernelPrior(VALUES, "sites", sharpness=0.1, noise=0.1)
    prior.fit(variants)
    learning = prior.train()(variants.records)[:, 0]
    finished = prior.eval()(variants.records)[:, 0]
    truth = variants.targets.values.reshape(-1)
    assert (finished - truth).abs().mean() < (learning - truth).abs().mean()
    assert torch.corrcoef(torch.stack([learning, truth]))[0, 1] > 0.9


def test_of_many_records_some_are_learned_from_and_that_is_told(variants, monkeypatch, caplog):
    monkeypatch.setattr("labtune_protein.kernels.prior.LARGEST", 20)
    prior = KernelPrior(VALUES, "sites", sharpness=0.1, noise=0.1)
    prior.fit(variants)
    assert len(prior.weights) == 20
    assert "learns from 20 of 60 training records" in caplog.text
    assert prior.train()(variants.records).shape == (60, 1)


def test_a_saved_prior_tells_the_same(variants):
    prior = KernelPrior(VALUES, "sites")
    prior.fit(variants)
    other = KernelPrior(VALUES, "sites")
    other.load_state_dict(prior.state_dict())
    torch.testing.assert_close(other.eval()(variants.records), prior.eval()(variants.records))


def test_heads_add_to_the_prior_what_they_learned(variants):
    head = VariantHead(8, VALUES, sharpness=0.1, noise=0.1)
    head.fit(variants)
    head.eval()
    hidden = variants.tokens.with_values(torch.zeros(len(variants.tokens.values), 8))
    plain = head(hidden, variants).logits.values
    torch.testing.assert_close(plain, head.prior(variants.records))
    head.linear.bias.data[:] = 1.0
    torch.testing.assert_close(head(hidden, variants).logits.values - plain, head.scale.spread.expand_as(plain))


def test_shares_of_classes_become_logits(vocabulary):
    labels = Labels(kind="classes", names=("acidic", "basic", "membrane"))
    batch = SequenceTokenizer(vocabulary, labels)(class_examples())
    head = KernelHead(8, labels, sharpness=0.1, noise=0.1)
    head.fit(batch)
    head.eval()
    hidden = batch.tokens.with_values(torch.zeros(len(batch.tokens.values), 8))
    output = head(hidden, batch)
    torch.testing.assert_close(output.logits.values, GAIN * head.prior(batch.records))
    told = head.prior(batch.records).sum(1)
    torch.testing.assert_close(told, torch.ones_like(told), atol=1e-4, rtol=0)
