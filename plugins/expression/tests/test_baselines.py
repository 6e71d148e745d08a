"""Linear baselines, against scikit-learn's own counting and fitting."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer

from labtune.specs import Labels, Record
from labtune_expression.baselines import count_kmers, fit_kmer_model
from labtune_expression.cells.baseline import fit_linear
from labtune_expression.cells.data import examples as cell_examples
from labtune_expression.data import class_examples, promoter_examples, promoters
from labtune_expression.reading import read


def test_kmers_are_counted_as_scikit_learn_counts_them():
    sequences = ["ACGTACGTTTGACC", "AAAAAAAAAA", "ACGNACGTRA"]
    found = count_kmers([Record(str(row), sequence) for row, sequence in enumerate(sequences)])
    counter = CountVectorizer(analyzer="char", ngram_range=(3, 6), lowercase=False).fit(sequences)
    names = [name for name in counter.vocabulary_ if set(name) <= set("ACGT")]
    expected = counter.transform(sequences)[:, [counter.vocabulary_[name] for name in names]]
    assert found.sum() == expected.sum()
    for row in range(len(sequences)):
        assert sorted(found[row].data) == sorted(expected[row].data)


def test_ridge_learns_planted_motifs_and_leaves_gaps_out():
    files = promoters()
    train, test = (list(read(files[part], labelled=True)) for part in ("train", "test"))
    labels = Labels(kind="values", names=("one", "two"))

    def pair(record, gap):
        return Record(record.id, record.input, [float(record.target), float("nan") if gap else -float(record.target)])

    predict = fit_kmer_model([pair(record, row % 3 == 0) for row, record in enumerate(train)], labels)
    found = np.array([prediction.value for prediction in predict(test)])
    truth = np.array([float(record.target) for record in test])
    assert np.corrcoef(found[:, 0], truth)[0, 1] > 0.6
    assert np.corrcoef(found[:, 1], truth)[0, 1] < -0.5


@pytest.mark.parametrize(("records", "fit"), [(class_examples, fit_kmer_model), (cell_examples, fit_linear)])
def test_class_probabilities_are_in_the_order_of_the_labels(records, fit):
    train = records()
    names = ("unseen", *sorted({record.target for record in train}))
    for prediction in fit(train, Labels(kind="classes", names=names))(train):
        assert prediction.probabilities.sum() == pytest.approx(1)
        assert prediction.probabilities[0] == 0
        assert prediction.value == names[prediction.probabilities.argmax()]


def test_one_number_is_no_list():
    [first, *_] = fit_kmer_model(promoter_examples(), Labels(kind="values", names=("value",)))(promoter_examples())
    assert isinstance(first.value, float)
