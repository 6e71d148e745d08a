"""A training whose embeddings write their own gradients ends with the same weights."""

from __future__ import annotations

import pytest
import torch

from labtune.encoder import rows
from labtune.processes import start
from labtune.training.loop import fit, weights_of


@pytest.mark.parametrize("budget", [4096, 50], ids=["one pass a step", "several"])
def test_same_weights(training, monkeypatch, budget):
    found = {}
    for worth in (1, 2**40):
        monkeypatch.setattr(rows, "WORTHWHILE", worth)
        torch.manual_seed(0)
        given = training(batch_tokens=budget)
        fit(given, start("no"))
        found[worth] = {name: tensor.clone() for name, tensor in weights_of(given.model).items()}
    own, dense = found.values()
    assert own.keys() == dense.keys()
    for name, tensor in dense.items():
        torch.testing.assert_close(own[name], tensor, msg=lambda text, name=name: f"{name}: {text}")
