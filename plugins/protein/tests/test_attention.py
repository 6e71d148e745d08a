"""Attention maps of an encoder, and what a regression makes of them."""

from __future__ import annotations

import numpy as np
import pytest

from labtune.catalog import load_catalog
from labtune.encoder.fresh import fresh_encoder
from labtune.specs import Labels
from labtune_protein.data import contact_examples
from labtune_protein.pairs.attention import AttentionMaps, fit_attention


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """Two small layers with fresh weights."""
    folder = tmp_path_factory.mktemp("encoder")
    shape = {"num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}
    fresh_encoder("protein.mini", load_catalog(), config=shape, seed=0).save(folder)
    return str(folder)


def test_maps_are_one_row_a_pair(encoder):
    """Layers times heads of them, for every pair of residues."""
    record = contact_examples()[0]
    size = len(record.input)
    found = AttentionMaps(encoder)(record)
    assert found.shape == (size * (size - 1) // 2, 4)
    assert np.isfinite(found).all()
    assert found.std() > 0


def test_regression_on_maps_predicts_every_record(encoder):
    records = contact_examples()
    predictions = fit_attention(records, Labels(kind="spans", names=("contact",)), encoder=encoder, chains=6)(
        records[6:]
    )
    assert [prediction.id for prediction in predictions] == [record.id for record in records[6:]]
    assert all(prediction.details["pairs"]["short"] for prediction in predictions)
