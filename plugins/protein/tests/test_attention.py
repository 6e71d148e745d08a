"""Attention maps of an encoder, and what a regression makes of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from labtune.catalog import load_catalog
from labtune.encoder.base import Attention
from labtune.encoder.fresh import fresh_encoder
from labtune.encoder.loading import load_encoder
from labtune.specs import Labels, Record
from labtune_protein.data import contact_examples
from labtune_protein.pairs.attention import AttentionMaps, fit_attention
from labtune_protein.pairs.head import attention_maps
from labtune_protein.tokenizing import ResidueTokenizer


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


@pytest.mark.parametrize("packed_with", [0, 2])
def test_maps_from_queries_and_keys_are_those_that_transformers_computes(packed_with):
    """The head's maps of a packed batch, against eager attention of each record alone."""
    catalog = load_catalog()
    records = [Record(str(size), "ACDEFGHIKLMNPQRSTVWY"[:size] * 4) for size in (9, 15, 20)[: 1 + packed_with]]
    encoder = load_encoder("protein.mini", catalog, dropout=0.0).eval()
    assert encoder.share_attention(2) == Attention(layers=2, heads=7)
    batch = ResidueTokenizer(encoder.tokenizer, Labels(kind="classes", names=("H",))).unlabelled(records)
    with torch.no_grad():
        rows = encoder(batch.inputs)
        assert rows.values.shape[1] == encoder.row_width == 5 * encoder.width
        ours = attention_maps(rows.with_values(rows.values[:, encoder.width :]), encoder.attention, batch)
    theirs = AttentionMaps("protein.mini")
    for record, maps in zip(records, ours, strict=True):
        size = len(record.input)
        expected = torch.asinh(torch.from_numpy(theirs(record)[:, -maps.shape[-1] :]) * size)
        torch.testing.assert_close(maps[*torch.triu_indices(size, size, 1)], expected, atol=2e-4, rtol=1e-3)
        assert not maps[size:].any()
        assert expected.std() > 0.01


def test_layers_that_are_computed_again_show_nothing():
    encoder = load_encoder("protein.mini", load_catalog(), options={"gradient_checkpointing": True})
    assert encoder.share_attention(2) is None
    assert encoder.row_width == encoder.width
