"""Cheap dropout does what torch's does."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from labtune.encoder import tiny
from labtune.encoder.base import Encoder
from labtune.encoder.dropout import CheapDropout, cheapen_dropout
from labtune.encoder.fresh import token_embeddings
from labtune.model import Model
from labtune.pretraining.objective import MaskedLanguageModel


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rate_and_scale(rate: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    values = torch.ones(401, 501, dtype=dtype, requires_grad=True)
    out = CheapDropout(rate)(values)
    kept = out != 0
    assert kept.double().mean().item() == pytest.approx(1 - rate, abs=0.005)
    torch.testing.assert_close(out[kept], torch.full_like(out[kept], 1 / (1 - rate)), atol=1e-4, rtol=4e-3)
    out.sum().backward()
    assert torch.equal(values.grad, out.detach()), "the gradient passes where the value passed"


def test_no_position_is_favoured() -> None:
    """Four elements share a random word; each must be dropped as often, and on its own."""
    torch.manual_seed(0)
    dropped = (CheapDropout(0.25)(torch.ones(200_000, 4)) == 0).double()
    torch.testing.assert_close(dropped.mean(0), torch.full((4,), 0.25).double(), atol=0.005, rtol=0)
    assert (torch.corrcoef(dropped.T) - torch.eye(4)).abs().max() < 0.01


def test_seed_decides() -> None:
    masks = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        masks.append(CheapDropout(0.3)(torch.ones(1000)))
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_extreme_rates(rate: float) -> None:
    assert torch.equal(CheapDropout(rate)(torch.ones(50)), torch.full((50,), 1 - rate))


def test_off_in_evaluation() -> None:
    values = torch.randn(50)
    assert CheapDropout(0.5).eval()(values) is values


@pytest.mark.parametrize("learning", [True, False])
def test_the_mode_stays(learning: bool) -> None:
    layers = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.2)).train(learning)
    cheapen_dropout(layers)
    assert type(layers[1]) is CheapDropout
    assert layers[1].training is learning


@pytest.mark.parametrize(
    "model",
    [
        lambda encoder: Model(encoder, nn.Sequential(nn.Linear(encoder.width, 8), nn.Dropout(0.2))),
        lambda encoder: MaskedLanguageModel(encoder, token_embeddings(encoder)),
    ],
    ids=["fine-tuning", "pre-training"],
)
def test_all_that_learns_uses_it(model: Callable[[Encoder], nn.Module]) -> None:
    kinds = {type(module) for module in model(tiny.build()).modules() if isinstance(module, nn.Dropout)}
    assert kinds == {CheapDropout}
