"""Gradients of embeddings by rows are those of ``nn.Embedding``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from labtune.encoder import rows
from labtune.encoder.rows import RowEmbedding, row_gradients


@pytest.fixture
def layers(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[nn.Embedding, nn.Embedding]]:
    """The same table twice; the second writes its own gradient."""
    monkeypatch.setattr(rows, "WORTHWHILE", 1)
    plain, own = nn.Embedding(50, 8, padding_idx=1), nn.Embedding(50, 8, padding_idx=1)
    own.load_state_dict(plain.state_dict())
    with row_gradients(own):
        assert type(own) is RowEmbedding
        yield plain, own


def step(layer: nn.Embedding, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, 50, (1, 30), generator=generator)
    weights = torch.randn(1, 30, 8, generator=generator)
    (layer(tokens) * weights).sum().backward()


def test_steps_that_accumulate_and_forget(layers: tuple[nn.Embedding, nn.Embedding]) -> None:
    optimizers = [torch.optim.AdamW(layer.parameters(), lr=0.1) for layer in layers]
    for number in range(4):
        for layer in layers:
            step(layer, number)
            step(layer, 100 + number)
            nn.utils.clip_grad_norm_(layer.parameters(), 1.0)
        plain, own = (layer.weight.grad for layer in layers)
        assert plain is not None
        assert own is not None
        torch.testing.assert_close(own, plain)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
    torch.testing.assert_close(layers[1].weight, layers[0].weight)


def test_weights_that_are_used_elsewhere_too(layers: tuple[nn.Embedding, nn.Embedding]) -> None:
    for number in range(3):
        for layer in layers:
            layer.weight.grad = None
            step(layer, number)
            if number < 2:  # as output weights are: every row gets a gradient
                layer.weight.square().sum().backward()
        plain, own = (layer.weight.grad for layer in layers)
        assert plain is not None
        assert own is not None
        torch.testing.assert_close(own, plain)


def test_padding_does_not_learn(layers: tuple[nn.Embedding, nn.Embedding]) -> None:
    layers[1](torch.tensor([1, 2])).sum().backward()
    gradient = layers[1].weight.grad
    assert gradient is not None
    assert gradient[1].eq(0).all()
    assert gradient[2].eq(1).all()


def test_what_does_not_learn_gets_no_gradient(layers: tuple[nn.Embedding, nn.Embedding]) -> None:
    own = layers[1].requires_grad_(False)
    assert not own(torch.tensor([3])).requires_grad


def test_the_layer_is_as_before_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "WORTHWHILE", 1)
    layer = nn.Embedding(9, 4)
    before = set(vars(layer))
    with row_gradients(layer):
        layer(torch.tensor([[1, 2]])).sum().backward()
    assert type(layer) is nn.Embedding
    assert set(vars(layer)) == before
    assert layer.weight.grad is None


@pytest.mark.parametrize("other", [nn.Embedding(9, 4, max_norm=1.0), nn.Embedding(9, 4, sparse=True)])
def test_others_are_left_alone(other: nn.Embedding, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "WORTHWHILE", 1)
    with row_gradients(other):
        assert type(other) is nn.Embedding
