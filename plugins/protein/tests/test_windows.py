"""Chains longer than an encoder's limit: read in windows, and one prediction a residue all the same."""

from __future__ import annotations

import torch

from labtune.model import Model
from labtune.specs import Labels, Record
from labtune_protein.convolution import ConvolutionHead
from labtune_protein.letters import Letters
from labtune_protein.tokenizing import ResidueTokenizer

LABELS = Labels(kind="classes", names=("H", "E", "C"))


def test_windows_change_nothing_where_states_are_letters(vocabulary):
    records = [Record("long", "ACDEFGHIKLMNPQRSTVWY" * 6), Record("short", "MKV")]
    batch = ResidueTokenizer(vocabulary, LABELS).unlabelled(records)
    torch.manual_seed(0)
    head = ConvolutionHead(Letters.width, LABELS).eval()
    whole = Model(Letters(), head)
    cut = Model(Letters(), head)
    cut.encoder.limit = 32
    assert cut.windows(batch) is not None
    assert whole.windows(batch) is None
    torch.testing.assert_close(cut(batch).logits.values, whole(batch).logits.values)
    predictions = head.decode(cut(batch), batch)
    assert [len(prediction.value) for prediction in predictions] == [120, 3]
