import numpy as np
import pytest
from scipy import stats

from labtune.builtin.metrics import Classification, Regression
from labtune.evaluation.intervals import bootstrap
from labtune.specs import Labels, Prediction, Record

CLASSES = Labels(kind="classes", names=("a", "b", "c"))


class Plain:
    """The same scores, without the sums."""

    monitor = "accuracy"

    def __init__(self, metric):
        self.metric = metric

    def __call__(self, predictions, references):
        return self.metric(predictions, references)


def draw(generator, size, accuracy=0.8):
    """Labels of known frequency, right with a known chance, else one of the two others."""
    true = generator.choice(3, p=[0.5, 0.3, 0.2], size=size)
    wrong = (true + generator.integers(1, 3, size=size)) % 3
    return true, np.where(generator.random(size) < accuracy, true, wrong)


def wrap(true, predicted, groups=None):
    groups = [None] * len(true) if groups is None else groups
    records = [
        Record(str(row), "x", "abc"[target], group=group)
        for row, (target, group) in enumerate(zip(true, groups, strict=True))
    ]
    return [Prediction(str(row), "abc"[value]) for row, value in enumerate(predicted)], records


def test_weights_are_resampling():
    data = wrap(*draw(np.random.default_rng(0), 80))
    metric = Classification(CLASSES)
    fast, slow = bootstrap(metric, *data, resamples=60), bootstrap(Plain(metric), *data, resamples=60)
    for name in fast:
        assert fast[name] == pytest.approx(slow[name], rel=1e-12)


def test_weights_are_resampling_of_groups():
    generator = np.random.default_rng(1)
    groups = [f"g{number}" for number in generator.integers(12, size=80)]
    groups[:5] = [None] * 5
    data = wrap(*draw(generator, 80), groups)
    metric = Classification(CLASSES)
    fast, slow = bootstrap(metric, *data, resamples=60), bootstrap(Plain(metric), *data, resamples=60)
    for name in fast:
        assert fast[name] == pytest.approx(slow[name], rel=1e-12)


def test_one_metric_may_have_sums_and_ranks():
    generator = np.random.default_rng(2)
    true = generator.normal(size=100).round(1)
    groups = [f"g{number}" for number in generator.integers(30, size=100)]
    records = [Record(str(row), "x", value, group) for row, (value, group) in enumerate(zip(true, groups, strict=True))]
    predictions = [Prediction(str(row), value + generator.normal()) for row, value in enumerate(true)]
    metric = Regression(Labels(kind="values", names=("value",)))
    fast = bootstrap(metric, predictions, records, resamples=60)
    slow = bootstrap(Plain(metric), predictions, records, resamples=60)
    assert set(fast) == {"pearson", "spearman", "r2", "rmse", "mae"}
    for name, interval in fast.items():
        assert interval == pytest.approx(slow[name], rel=1e-12)
        assert interval.low < interval.value < interval.high


def test_accuracy_agrees_with_the_binomial_distribution():
    true, predicted = draw(np.random.default_rng(3), 400)
    found = bootstrap(Classification(CLASSES), *wrap(true, predicted), resamples=4000)["accuracy"]
    expected = stats.binom.ppf([0.025, 0.975], 400, found.value) / 400
    assert [found.low, found.high] == pytest.approx(expected.tolist(), abs=0.004)


def test_groups_widen_the_interval():
    """Twenty copies of each outcome: as much information as the outcomes alone."""
    true, predicted = draw(np.random.default_rng(4), 40)
    true, predicted = np.repeat(true, 20), np.repeat(predicted, 20)
    data = wrap(true, predicted)
    metric = Classification(CLASSES)
    alone = bootstrap(metric, *data)["accuracy"]
    grouped = bootstrap(metric, *data, groups=[f"g{row // 20}" for row in range(800)])["accuracy"]
    ratio = (grouped.high - grouped.low) / (alone.high - alone.low)
    assert ratio == pytest.approx(np.sqrt(20), rel=0.15)


def test_seed_repeats():
    data = wrap(*draw(np.random.default_rng(5), 100))
    metric = Classification(CLASSES)
    assert bootstrap(metric, *data, seed=1) == bootstrap(metric, *data, seed=1)
    assert bootstrap(metric, *data, seed=1) != bootstrap(metric, *data, seed=2)


def test_undefined_is_nan():
    metric = Classification(CLASSES)
    for data in (wrap([], []), wrap([0], [0]), wrap([0, 1], [0, 1], ["g", "g"])):
        for interval in bootstrap(metric, *data).values():
            assert np.isnan(interval.low)
            assert np.isnan(interval.high)


@pytest.mark.parametrize("grouped", [False, True])
def test_coverage(grouped):
    """In 300 repeated studies 95 % of the intervals hold the true score, or 94 %: percentiles are slightly narrow."""
    generator = np.random.default_rng(6)
    metric = Classification(CLASSES)
    truth = metric(*wrap(*draw(generator, 100_000)))
    inside = dict.fromkeys(truth, 0)
    for _ in range(300):
        true, predicted = draw(generator, 150)
        if grouped:  # every outcome counts twice, so only resampling of pairs covers
            true, predicted = np.repeat(true, 2), np.repeat(predicted, 2)
        groups = [f"g{row // 2}" for row in range(300)] if grouped else None
        for name, interval in bootstrap(metric, *wrap(true, predicted, groups), resamples=300).items():
            inside[name] += interval.low <= truth[name] <= interval.high
    low, high = stats.binom.ppf([0.001, 0.999], 300, 0.94)
    assert low <= min(inside.values())
    assert max(inside.values()) <= high
