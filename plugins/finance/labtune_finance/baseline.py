"""The baseline: words and word pairs, without any pre-training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from labtune.specs import Labels, Prediction, Record


def fit(records: Sequence[Record], labels: Labels) -> Callable[[Sequence[Record]], list[Prediction]]:
    """Fit a logistic regression, classes weighed equally, on TF-IDF of one and two words.

    Parameters
    ----------
    records
        Training data.
    labels
        With the names of the classes.

    Returns
    -------
    callable
        From records to predictions with probabilities ``(L,)``.
    """
    truth = [record.target for record in records]
    several = len(set(truth)) > 1
    classifier: Any = LogisticRegression(class_weight="balanced", max_iter=1000) if several else DummyClassifier()
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), classifier)
    model.fit([record.input for record in records], truth)
    columns = [labels.names.index(name) for name in model.classes_]

    def predict(asked: Sequence[Record]) -> list[Prediction]:
        if not asked:
            return []
        probabilities = np.zeros((len(asked), len(labels.names)))
        probabilities[:, columns] = model.predict_proba([record.input for record in asked])
        return [
            Prediction(record.id, labels.names[row.argmax()], float(row.max()), row)
            for record, row in zip(asked, probabilities, strict=True)
        ]

    return predict
