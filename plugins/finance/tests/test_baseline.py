import numpy as np
import pytest

from labtune.specs import Labels, Record
from labtune_finance.baseline import fit

LABELS = Labels(kind="classes", names=("negative", "neutral", "positive"))


def records(**sentences):
    return [
        Record(f"{label} {row}", text, label) for label, texts in sentences.items() for row, text in enumerate(texts)
    ]


def test_learns_words():
    train = records(
        positive=["profit rose", "sales rose"], negative=["profit fell", "sales fell"], neutral=["a meeting"]
    )
    found = fit(train, LABELS)([Record("x", "orders rose"), Record("y", "orders fell"), Record("z", "one meeting")])
    assert [prediction.value for prediction in found] == ["positive", "negative", "neutral"]
    for prediction in found:
        assert prediction.probabilities.sum() == pytest.approx(1)
        assert prediction.confidence == prediction.probabilities.max()


def test_a_class_without_examples_is_never_predicted():
    train = records(positive=["profit rose", "sales rose"], neutral=["a meeting"])
    (found,) = fit(train, LABELS)([Record("x", "profit fell")])
    assert found.probabilities[0] == 0


def test_one_class_alone():
    (found,) = fit(records(positive=["profit rose"]), LABELS)([Record("x", "profit fell")])
    assert (found.value, found.confidence) == ("positive", 1)
    assert np.array_equal(found.probabilities, [0, 0, 1])


def test_nothing_asked():
    assert fit(records(positive=["rose"], negative=["fell"]), LABELS)([]) == []
