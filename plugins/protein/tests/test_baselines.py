"""Linear baselines and scores against scikit-learn, and the designed samples."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import f1_score
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from labtune.specs import Labels, Prediction, Record
from labtune_protein.alphabet import STANDARD
from labtune_protein.baselines import (
    fit_dipeptide_sets,
    fit_dipeptides,
    fit_ridge,
    fit_window,
    fit_window_ridge,
)
from labtune_protein.data import residue_sample, sequence_sample, set_examples
from labtune_protein.metrics import SecondaryStructure
from labtune_protein.reading import read_secondary_structure, read_sequences
from labtune_protein.toy import design, write_samples
from labtune_protein.views import track_view

STATES = Labels(kind="classes", names=("C", "E", "H"))


def parts(read, sample, **options):
    return {part: list(read(path, labelled=True, **options)) for part, path in sample.items()}


def dipeptide_shares(sequence):
    """Shares of letters and of neighbours, and the logarithm of the length; none of the letters is rare."""
    letters = [sequence.count(letter) / len(sequence) for letter in STANDARD]
    neighbours = Counter(a + b for a, b in pairwise(sequence))
    pairs = [neighbours[a + b] / (len(sequence) - 1) for a in STANDARD for b in STANDARD]
    return [*letters, *pairs, np.log(len(sequence))]


def test_samples_are_what_the_rule_makes(tmp_path):
    write_samples(tmp_path)
    for path in tmp_path.iterdir():
        assert path.read_text() == (residue_sample()["train"].parent / path.name).read_text()
    letters = {part: {toy.sequence for toy in design(part)} for part in ("train", "valid", "test")}
    assert not letters["train"] & letters["test"]


def test_windows_learn_states():
    records = parts(read_secondary_structure, residue_sample())
    predictions = fit_window(records["train"], STATES)(records["test"])
    scores = SecondaryStructure(STATES)(predictions, records["test"])
    assert scores["q3"] > 0.8
    assert all(len(p.value) == len(r.input) for p, r in zip(predictions, records["test"], strict=True))


def test_scores_are_those_of_scikit_learn():
    truth = ["H", "E", None, "C", "H", "H"]
    found = ["H", "C", "H", "C", "E", "H"]
    scores = SecondaryStructure(STATES)([Prediction("a", found)], [Record("a", "AAAAAA", truth)])
    kept = [(t, f) for t, f in zip(truth, found, strict=True) if t]
    each = f1_score(*zip(*kept, strict=True), labels=["C", "E", "H"], average=None)
    assert scores["q3"] == pytest.approx(3 / 5)
    assert [scores[f"f1_{name}"] for name in "CEH"] == pytest.approx(list(each))
    assert scores["recall_H"] == pytest.approx(2 / 3)


def test_ridge_of_equal_lengths_is_one_hot():
    rng = np.random.default_rng(0)
    records = [
        Record(str(n), "".join(rng.choice(list("ACDEFGHIKLMNPQRSTVWY"), 6)), float(rng.normal())) for n in range(40)
    ]
    predictions = fit_ridge(records, Labels(kind="values", names=("value",)))(records)
    alphabet = {letter: index for index, letter in enumerate("ACDEFGHIKLMNPQRSTVWY")}
    features = np.zeros((40, 6 * 20))
    for row, record in enumerate(records):
        for position, letter in enumerate(record.input):
            features[row, position * 20 + alphabet[letter]] = 1
    targets = [record.target for record in records]
    expected = Ridge(alpha=1.0).fit(features, targets).predict(features)
    assert [prediction.value for prediction in predictions] == pytest.approx(list(expected), abs=1e-3)


def test_dipeptides_learn_classes_and_values():
    labels = Labels(kind="classes", names=("acidic", "basic", "membrane"))
    records = parts(read_sequences, sequence_sample(), target="class")
    predictions = fit_dipeptides(records["train"], labels)(records["test"])
    right = np.mean([p.value == r.target for p, r in zip(predictions, records["test"], strict=True)])
    assert right > 0.6
    values = parts(read_sequences, sequence_sample(), target="value")
    numbers = {part: [Record(r.id, r.input, float(r.target)) for r in some] for part, some in values.items()}
    found = fit_ridge(numbers["train"], Labels(kind="values", names=("value",)))(numbers["test"])
    assert np.corrcoef([p.value for p in found], [r.target for r in numbers["test"]])[0, 1] > 0.5


def test_numbers_of_residues_are_a_ridge_on_windows():
    rng = np.random.default_rng(0)
    records = [
        Record(str(n), "".join(rng.choice(list("ACDEFGHIKLMNPQRSTVWYX"), 30)), rng.normal(size=30).tolist())
        for n in range(20)
    ]
    records[0].target[:10] = [None] * 10
    predictions = fit_window_ridge(records, Labels(kind="values", names=("value",)))(records)
    padded = ["-" * 7 + record.input.replace("X", "-") + "-" * 7 for record in records]  # a rare letter is no letter
    windows = np.array([list(text[at : at + 15]) for text in padded for at in range(30)])
    features = OneHotEncoder().fit_transform(windows)
    targets = np.array([value for record in records for value in record.target], dtype=float)
    known = ~np.isnan(targets)
    expected = Ridge(alpha=1.0).fit(features[known], targets[known]).predict(features)
    found = [value for prediction in predictions for value in prediction.value]
    assert found == pytest.approx(list(expected), abs=5e-3)


def test_sets_of_labels_are_a_regression_each():
    names = ("acidic", "long", "all", "none")
    records = [Record(r.id, r.input, [*r.target, "all"]) for r in set_examples()]
    predictions = fit_dipeptide_sets(records, Labels(kind="multilabel", names=names))(records)
    chances = np.array([prediction.probabilities for prediction in predictions])
    assert (chances[:, 2] == 1).all()
    assert (chances[:, 3] == 0).all()
    features = StandardScaler().fit_transform([dipeptide_shares(r.input) for r in records])
    for number, name in enumerate(names[:2]):
        model = LogisticRegression(C=0.01, max_iter=500).fit(features, [name in r.target for r in records])
        assert chances[:, number] == pytest.approx(model.predict_proba(features)[:, 1])
    for prediction in predictions:
        assert prediction.value == [names[n] for n in np.flatnonzero(prediction.probabilities >= 0.5)]


def test_tracks_are_drawn():
    records = parts(read_secondary_structure, residue_sample())
    predictions = fit_window(records["train"], STATES)(records["test"])
    figures = track_view(predictions, records["test"], STATES)
    assert len(figures) == 8
    assert all(figure.svg.startswith("<svg") and figure.svg.endswith("</svg>") for figure in figures)
