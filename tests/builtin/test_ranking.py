import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import average_precision_score

from labtune.builtin.ranking import average_precision, spearman


@pytest.fixture
def drawn():
    """Values with many ties, and how often each of five resamples has them."""
    generator = np.random.default_rng(0)
    true, predicted = generator.integers(8, size=(2, 60)).astype(float)
    weights = generator.multinomial(60, np.full(60, 1 / 60), size=5)
    return true, predicted, weights


def test_weighted_rank_correlation_is_that_of_the_repeated_values(drawn):
    true, predicted, weights = drawn
    expected = [stats.spearmanr(np.repeat(true, row), np.repeat(predicted, row)).statistic for row in weights]
    np.testing.assert_allclose(spearman(true, predicted, weights), expected, rtol=1e-12)


def test_weighted_average_precision_is_that_of_the_repeated_values(drawn):
    true, likely, weights = drawn
    true = (true > 5).astype(float)
    expected = [average_precision_score(np.repeat(true, row), np.repeat(likely, row)) for row in weights]
    np.testing.assert_allclose(average_precision(true, likely, weights), expected, rtol=1e-12)


def test_undefined_is_nan():
    once, many = np.ones((1, 4)), np.random.default_rng(1).integers(1, 9, size=(2, 100_001))
    assert np.isnan(spearman(np.arange(100_001.0), np.zeros(100_001), many)).all()
    assert np.isnan(spearman(np.full(4, 0.1), np.arange(4.0), once)).all()
    assert np.isnan(spearman(np.arange(4.0), np.arange(4.0), np.array([[0, 3, 0, 0]]))).all()
    assert np.isnan(average_precision(np.zeros(4), np.arange(4.0), once)).all()
