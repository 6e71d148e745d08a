import warnings

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from labtune.builtin.metrics import Classification, MultiLabel, Regression, TokenClassification
from labtune.errors import DataError, SettingsError
from labtune.protocols import AdditiveMetric
from labtune.specs import Labels, Prediction, Record

NAMES = ("a", "b", "c", "never")
CLASSES = Labels(kind="classes", names=NAMES)


def wrap(true, predicted, probabilities=None):
    records = [Record(str(row), "x", target, source=f"f:{row}") for row, target in enumerate(true)]
    chances = probabilities if probabilities is not None else [None] * len(records)
    found = [
        Prediction(str(row), value, probabilities=chance)
        for row, (value, chance) in enumerate(zip(predicted, chances, strict=True))
    ]
    return found, records


def near(value):
    return pytest.approx(value, rel=1e-12, abs=1e-14)


def draw(generator, size):
    true = generator.choice(NAMES[:3], p=[0.6, 0.3, 0.1], size=size)
    guess = generator.choice(NAMES[:3], size=size)
    return true, np.where(generator.random(size) < 0.6, true, guess)


def reference(true, predicted):
    return {
        "accuracy": sk.accuracy_score(true, predicted),
        "balanced_accuracy": sk.balanced_accuracy_score(true, predicted),
        "macro_f1": sk.f1_score(true, predicted, average="macro"),
        "mcc": sk.matthews_corrcoef(true, predicted),
    }


@pytest.mark.parametrize("size", [5, 50, 2000])
def test_classification_is_scikit_learns(size):
    true, predicted = draw(np.random.default_rng(size), size)
    assert Classification(CLASSES)(*wrap(true, predicted)) == near(reference(true, predicted))


def test_classification_by_hand():
    """Truth aab, predictions abb: F1 of a is 2/3, of b is 2/3; recalls 1/2 and 1."""
    found = Classification(CLASSES)(*wrap("aab", "abb"))
    assert found == near({"accuracy": 2 / 3, "balanced_accuracy": 3 / 4, "macro_f1": 2 / 3, "mcc": 0.5})


def test_tokens_without_truth_do_not_count():
    true = [["a", None, "b"], [None], ["a", "a"]]
    predicted = [["a", "c", "a"], ["c"], ["a", "b"]]
    found = TokenClassification(CLASSES)(*wrap(true, predicted))
    assert found == near(reference(list("abaa"), list("aaab")))


def test_undefined_scores_are_nan_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one_class = Classification(CLASSES)(*wrap("aaa", "aab"))
        assert np.isnan(one_class["mcc"])
        assert one_class["accuracy"] == near(2 / 3)
        assert Classification(CLASSES)(*wrap("aab", "aaa"))["mcc"] == 0
        for metric in (
            Classification(CLASSES),
            TokenClassification(CLASSES),
            MultiLabel(Labels(kind="multilabel", names=NAMES)),
            Regression(Labels(kind="values", names=("value",))),
        ):
            empty = metric([], [])
            assert empty
            assert all(np.isnan(value) for value in empty.values())
        constant = Regression(Labels(kind="values", names=("value",)))(*wrap([0.1, 0.7, 0.4], [0.3, 0.3, 0.3]))
        assert np.isnan(constant["pearson"])
        assert np.isnan(constant["spearman"])
        assert constant["r2"] == near(sk.r2_score([0.1, 0.7, 0.4], [0.3, 0.3, 0.3]))


def test_perfect_predictions_score_one():
    found = Classification(CLASSES)(*wrap("abc", "abc"))
    assert found == near(dict.fromkeys(found, 1.0))
    found = Regression(Labels(kind="values", names=("value",)))(*wrap([1.0, 2.0, 4.0], [1.0, 2.0, 4.0]))
    assert found == near({"pearson": 1, "spearman": 1, "r2": 1, "rmse": 0, "mae": 0})


def test_label_sets_are_scikit_learns():
    generator = np.random.default_rng(0)
    true = generator.random((300, 4)) < [0.6, 0.3, 0.05, 0]
    chances = np.clip(0.5 * true + generator.random((300, 4)).round(1) * 0.6, 0, 1)
    chances[:, 3] = 0
    predicted = chances > 0.5
    sets = [[[NAMES[index] for index in np.flatnonzero(row)] for row in block] for block in (true, predicted)]
    found = MultiLabel(Labels(kind="multilabel", names=NAMES))(*wrap(*sets, chances))
    assert found == near(
        {
            "micro_f1": sk.f1_score(true, predicted, average="micro"),
            "macro_f1": sk.f1_score(true, predicted, average="macro", zero_division=np.nan),
            "macro_average_precision": sk.average_precision_score(true[:, :3], chances[:, :3], average="macro"),
        }
    )
    assert "macro_average_precision" not in MultiLabel(Labels(kind="multilabel", names=NAMES))(*wrap(*sets))


def values_reference(true, predicted):
    return {
        "pearson": stats.pearsonr(true, predicted).statistic,
        "spearman": stats.spearmanr(true, predicted).statistic,
        "r2": sk.r2_score(true, predicted),
        "rmse": sk.root_mean_squared_error(true, predicted),
        "mae": sk.mean_absolute_error(true, predicted),
    }


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_regression_is_scipys(offset):
    generator = np.random.default_rng(1)
    true = generator.normal(size=500).round(2) + offset
    predicted = 0.7 * true + 0.3 * offset + generator.normal(scale=0.5, size=500)
    found = Regression(Labels(kind="values", names=("value",)))(*wrap(true.tolist(), predicted.tolist()))
    assert found == pytest.approx(values_reference(true, predicted), rel=1e-10)


def test_numbers_of_units_are_flat_and_gaps_do_not_count():
    true = [[1.0, np.nan, 3.0], [0.0], [np.nan], [2.0, 5.0]]
    predicted = [[1.5, 9.0, 2.0], [0.5], [7.0], [2.0, 4.0]]
    found = Regression(Labels(kind="values", names=("value",)))(*wrap(true, predicted))
    assert found == near(values_reference([1, 3, 0, 2, 5], [1.5, 2, 0.5, 2, 4]))


def test_outputs_are_scored_on_their_own():
    generator = np.random.default_rng(2)
    true, noise = generator.normal(size=(40, 2)), generator.normal(size=(40, 2))
    predicted = true + noise
    found = Regression(Labels(kind="values", names=("x", "y")))(*wrap(true.tolist(), predicted.tolist()))
    each = [values_reference(true[:, column], predicted[:, column]) for column in (0, 1)]
    assert found == near({name: (each[0][name] + each[1][name]) / 2 for name in each[0]})


def test_sums_are_additive():
    """Scores of the summed parts of a multiset of records are those of the multiset itself."""
    generator = np.random.default_rng(3)
    true, predicted = draw(generator, 60)
    rows = generator.integers(60, size=60)
    metric = Classification(CLASSES)
    assert isinstance(metric, AdditiveMetric)
    totals = metric.parts(*wrap(true, predicted))[rows].sum(axis=0)
    scores = {name: float(value) for name, value in metric.scores(totals).items()}
    assert scores == near(metric(*wrap(true[rows], predicted[rows])))


def test_monitor():
    assert Regression(Labels(kind="values", names=("value",)), monitor="-rmse").monitor == "-rmse"
    with pytest.raises(SettingsError, match="Did you mean 'macro_f1'"):
        Classification(CLASSES, monitor="macrof1")


def test_errors_name_the_record():
    with pytest.raises(DataError, match="f:0: record '0' has label 'z'"):
        Classification(CLASSES)(*wrap("z", "a"))
    with pytest.raises(DataError, match="record '0' has 2 labels and 1 predictions"):
        TokenClassification(CLASSES)(*wrap([["a", "b"]], [["a"]]))
    with pytest.raises(DataError, match="record '0' has 2 labels and 1 predictions"):
        Regression(Labels(kind="values", names=("value",)))(*wrap([[1.0, 2.0]], [[1.0]]))
