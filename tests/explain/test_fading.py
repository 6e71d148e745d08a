"""A faded token is the blank one, whichever way records lie in memory."""

from __future__ import annotations

import pytest
import torch

from labtune.encoder.fading import FADE, fading, mixed
from labtune.encoder.hub import HubEncoder
from labtune.encoder.methods.prompt import Prompt
from labtune.encoder.tiny import build
from labtune.ragged import Ragged

TEXTS = ("profit rose", "x", "sales fell by a third")


@pytest.fixture(params=["packed", "padded", "prompt"])
def encoder(request) -> HubEncoder:
    torch.manual_seed(0)
    made = build().eval()
    if request.param == "padded":
        made.model.set_attn_implementation("eager")
    if request.param == "prompt":
        Prompt(tokens=3).extend(made)
    return made


def tokens(encoder: HubEncoder) -> Ragged:
    return Ragged.from_rows([encoder.tokenizer(text)["input_ids"] for text in TEXTS], dtype=torch.long)


@torch.no_grad()
def test_ends_of_the_way(encoder):
    ids = tokens(encoder)
    chosen = torch.rand(len(ids.values), generator=torch.Generator().manual_seed(1)) < 0.4
    blank = ids.with_values(ids.values.masked_fill(chosen, encoder.blank[0]))
    here = encoder({"input_ids": ids})
    torch.testing.assert_close(
        encoder({"input_ids": ids, FADE: ids.with_values(torch.zeros(len(chosen)))}).values, here.values
    )
    gone = encoder({"input_ids": ids, FADE: ids.with_values(chosen.float())})
    torch.testing.assert_close(gone.values, encoder({"input_ids": blank}).values, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(gone.values, here.values, atol=1e-3)


def test_half_way_by_hand():
    table = torch.nn.Embedding.from_pretrained(torch.tensor([[0.0, 0.0], [2.0, 4.0], [4.0, 0.0]]))
    with fading(table, torch.tensor([0.25, 1.0]), blank=(0, 2)):
        found = table(torch.tensor([1, 2]))
    torch.testing.assert_close(found, torch.tensor([[2.0, 3.0], [2.0, 0.0]]))
    torch.testing.assert_close(table(torch.tensor([1])), torch.tensor([[2.0, 4.0]]))  # the hook is gone
    torch.testing.assert_close(
        mixed(torch.ones(2, 1), torch.tensor([0.0, 0.5]), torch.zeros(1)), torch.tensor([[1.0], [0.5]])
    )
