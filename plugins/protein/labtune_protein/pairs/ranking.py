"""From probabilities of pairs to predictions: likely contacts, and the likeliest pairs of each range."""

from __future__ import annotations

import numpy as np

from labtune.specs import Prediction, Span
from labtune_protein.contacts import SEPARATION

RANGES: dict[str, tuple[int, int | None]] = {"short": (6, 12), "medium": (12, 24), "long": (24, None)}  # residues apart
KEPT = 2  # pairs that are told of each range, per residue of the chain


def decode_pairs(name: str, size: int, probabilities: np.ndarray, label: str) -> Prediction:
    """Make the prediction of one chain.

    Parameters
    ----------
    name
        Id of the record.
    size
        L, its residues.
    probabilities
        Of contact, for pairs i < j row by row: ``(L (L - 1) / 2,)``.
    label
        What a contact is called.
    """
    rows, columns = np.triu_indices(size, 1)
    apart = columns - rows
    likely = np.flatnonzero((probabilities > 0.5) & (apart >= SEPARATION))
    spans = [Span(int(rows[k]), int(columns[k]), label) for k in likely]
    told = {}
    for where, (low, high) in RANGES.items():
        inside = np.flatnonzero((apart >= low) & (apart < (high or size)))
        best = inside[np.argsort(-probabilities[inside], kind="stable")[: KEPT * size]]
        told[where] = [[int(rows[k]), int(columns[k]), round(float(probabilities[k]), 4)] for k in best]
    return Prediction(name, spans, probabilities[likely].tolist(), details={"pairs": told})
