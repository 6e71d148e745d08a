"""Linear baselines and scores against scikit-learn, and the designed samples."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import f1_score

from labtune.specs import Labels, Prediction, Record
from labtune_protein.baselines import fit_dipeptides, fit_ridge, fit_window
from labtune_protein.data import residue_sample, sequence_sample
from labtune_protein.metrics import SecondaryStructure
from labtune_protein.reading import read_secondary_structure, read_sequences
from labtune_protein.toy import design, write_samples
from labtune_protein.views import track_view

STATES = Labels(kind="classes", names=("C", "E", "H"))


def parts(read, sample, **options):
    return {part: list(read(path, labelled=True, **options)) for part, path in sample.items()}


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


def test_tracks_are_drawn():
    records = parts(read_secondary_structure, residue_sample())
    predictions = fit_window(records["train"], STATES)(records["test"])
    figures = track_view(predictions, records["test"], STATES)
    assert len(figures) == 8
    assert all(figure.svg.startswith("<svg") and figure.svg.endswith("</svg>") for figure in figures)
