"""The linear model that every classifier of cells stands beside: L1 logistic regression on normalised expression.

It beats many foundation models of single cells (Boiarsky et al. 2024, doi:10.1038/s42256-024-00949-w).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from labtune.specs import Labels, Record
from labtune_expression.baselines import Baseline, class_predictions
from labtune_expression.cells.profile import gene_key

STRENGTH = 1.0  # inverse of the penalty, scikit-learn's C


def fit_linear(records: Sequence[Record], labels: Labels) -> Baseline:
    """Fit one against the rest for each class, on all genes of the training data."""
    vocabulary: dict[str, int] = {}
    for genes in {id(record.input.genes): record.input.genes for record in records}.values():
        for name in genes.names:
            vocabulary.setdefault(gene_key(name), len(vocabulary))
    linear = LogisticRegression(C=STRENGTH, l1_ratio=1.0, solver="liblinear", random_state=0)
    model = OneVsRestClassifier(linear).fit(_matrix(records, vocabulary), [record.target for record in records])
    return lambda asked: class_predictions(model, _matrix(asked, vocabulary), asked, labels)


def _matrix(records: Sequence[Record], vocabulary: Mapping[str, int]) -> csr_matrix:
    """Normalised expression ``(B, G)``; genes that training data did not have are left out."""
    files = {id(record.input.genes): record.input.genes for record in records}
    places = {
        number: np.array([vocabulary.get(gene_key(name), -1) for name in genes.names])
        for number, genes in files.items()
    }
    columns, values = [], []
    for record in records:
        found = places[id(record.input.genes)][record.input.columns]
        columns.append(found[found >= 0])
        values.append(record.input.normalised()[found >= 0])
    bounds = np.cumsum([0, *map(len, columns)])
    shape = (len(records), len(vocabulary))
    return csr_matrix((np.concatenate(values), np.concatenate(columns), bounds), shape=shape)
