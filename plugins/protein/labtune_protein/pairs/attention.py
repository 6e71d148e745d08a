"""Contacts from an encoder's own attention, without training it: the sparse logistic regression of Rao et al. (2021).

Every attention map of every layer is made symmetric and average-product-corrected; a logistic regression with an L1
penalty then weighs the maps. A few chains are enough to fit it (Rao et al., ICLR 2021, "Transformer protein language
models are unsupervised structure learners"; twenty there), so it shows what pre-training alone knows of structure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from labtune.catalog import load_catalog
from labtune.encoder.hub import HubEncoder
from labtune.encoder.loading import load_encoder
from labtune.errors import SettingsError
from labtune.specs import Labels, Prediction, Record
from labtune_protein.baselines import Baseline
from labtune_protein.contacts import SEPARATION
from labtune_protein.pairs.head import corrected
from labtune_protein.pairs.ranking import decode_pairs
from labtune_protein.pairs.tokenizing import unresolved
from labtune_protein.tokenizing import Residues

CHAINS = 20
PENALTY = 0.15  # inverse strength, that of Rao et al.


def fit_attention(
    records: Sequence[Record], labels: Labels, *, encoder: str = "protein.mini", chains: int = CHAINS
) -> Baseline:
    """Fit the regression on the first chains.

    Parameters
    ----------
    records
        Training records with contacts.
    labels
        Distance bins, of which the first is contact.
    encoder
        Any transformer that transformers can run with eager attention.
    chains
        How many to fit on.

    Raises
    ------
    SettingsError
        If the encoder has no attention to read.
    """
    maps = AttentionMaps(encoder)
    rows = [(maps(record), record) for record in records[:chains]]
    features = np.concatenate([found[_judged(record)] for found, record in rows])
    truth = np.concatenate([_contact(record, labels.names[0])[_judged(record)] for _, record in rows])
    model = LogisticRegression(C=PENALTY, l1_ratio=1.0, solver="liblinear", random_state=0).fit(features, truth)

    def predict(record: Record) -> Prediction:
        probabilities = model.predict_proba(maps(record))[:, 1]
        return decode_pairs(record.id, len(record.input), probabilities, labels.names[0])

    return lambda asked: [predict(record) for record in asked]


class AttentionMaps:
    """The corrected attention maps of an encoder, for pairs i < j of a record: ``(P, layers * heads)``."""

    def __init__(self, name: str) -> None:
        encoder = load_encoder(name, load_catalog(), options={"packed": False})
        if not isinstance(encoder, HubEncoder):
            raise SettingsError(f"encoder {name!r} has no attention maps; choose a transformer")
        self.model: Any = encoder.model.eval()
        self.model.set_attn_implementation("eager")
        self.residues = Residues(encoder.tokenizer)

    @torch.inference_mode()
    def __call__(self, record: Record) -> np.ndarray:
        """Read one record as a whole."""
        tokens = self.residues([record]).values[None]
        layers = self.model(tokens, output_attentions=True).attentions
        content = slice(self.residues.prefix, tokens.shape[1] - self.residues.suffix)
        maps = corrected(torch.cat([layer[:, :, content, content] for layer in layers], 1))[0]  # (M, L, L)
        rows, columns = np.triu_indices(len(record.input), 1)
        found: np.ndarray = maps[:, rows, columns].T.numpy()
        return found


def _judged(record: Record) -> np.ndarray:
    rows, columns = np.triu_indices(len(record.input), 1)
    hidden = unresolved(record)
    found: np.ndarray = (columns - rows >= SEPARATION) & ~hidden[rows] & ~hidden[columns]
    return found


def _contact(record: Record, name: str) -> np.ndarray:
    near = np.zeros((len(record.input),) * 2, dtype=bool)
    for first, second, label in record.target:
        near[first, second] = label == name
    found: np.ndarray = near[np.triu_indices(len(record.input), 1)]
    return found
