"""Gradient checkpointing: the same gradients from less memory, for every family."""

from __future__ import annotations

import pytest
import torch

from labtune.encoder.reading import Reading, read_encoder
from labtune.planning.ledger import Ledger, fake_mode
from labtune.ragged import Ragged

FAMILIES = (
    "bert", "roberta", "xlm-roberta", "camembert", "electra", "distilbert", "esm", "esm-absolute", "modernbert",
    "deberta-v2",
)  # fmt: skip


def kept_and_gradients(folder, recomputed: bool):
    """Bytes that a forward pass keeps for its backward pass, and the gradients of all weights."""
    encoder = read_encoder(folder, "e", Reading(dropout=0.0, gradient_checkpointing=recomputed)).train()
    rows = [torch.randint(5, 32, (length,), generator=torch.Generator().manual_seed(length)) for length in (40, 7, 23)]
    tokens = Ragged.from_rows(rows)
    with Ledger(fake_mode(), encoder.parameters()) as ledger:
        hidden = encoder({"input_ids": tokens}).values
        kept = ledger.live
    hidden.square().mean().backward()
    return kept, {name: parameter.grad for name, parameter in encoder.named_parameters()}


@pytest.mark.parametrize("family", FAMILIES)
def test_same_gradients_from_less_memory(saved, family):
    plain, expected = kept_and_gradients(saved(family), False)
    recomputed, found = kept_and_gradients(saved(family), True)
    assert recomputed < 0.6 * plain
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-6, rtol=1e-4)
