"""Learning rates by method, block and epoch, and what the optimiser makes of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from labtune.catalog import load_catalog
from labtune.encoder.base import Encoder
from labtune.encoder.methods.rates import DEFAULTS, HEAD_RATE, Course, learning_rates
from labtune.encoder.tuned import build_encoder
from labtune.settings import METHODS, Settings
from labtune.training.checkpoints import Progress, load_checkpoint, restore_optimizer, save_checkpoint
from labtune.training.optimisation import build_optimizer, drop_idle_gradients, set_rates

BLOCK = "encoder.model.encoder.layer.{}.output.dense.weight"
WORDS = "encoder.model.embeddings.word_embeddings.weight"
HEAD = "head.linear.weight"
NAMES = [WORDS, *map(BLOCK.format, range(3)), HEAD]


@pytest.fixture
def rates(saved: Callable[[str], Path]) -> Callable[..., dict[str, Course]]:
    def make(family: str = "bert", names: list[str] = NAMES, **chosen: Any) -> dict[str, Course]:
        settings = Settings(task="t", encoder=str(saved(family)), **chosen)
        return learning_rates(build_encoder(settings, load_catalog()), names, settings)

    return make


def test_every_method_has_its_own_rate() -> None:
    assert tuple(DEFAULTS) == METHODS
    for narrow, wide in DEFAULTS.values():
        assert 1e-5 <= wide <= narrow < 1


def test_what_the_settings_say_counts(rates: Callable[..., dict[str, Course]]) -> None:
    plain = rates()
    assert plain[WORDS] == plain[BLOCK.format(2)] == Course(DEFAULTS["full"][0])
    assert plain[HEAD] == Course(HEAD_RATE)
    assert rates(learning_rate=3e-5)[WORDS] == Course(3e-5)
    assert rates(learning_rate=0.1)[HEAD] == Course(0.1)  # no slower than the encoder
    assert rates(head_learning_rate=0.0)[HEAD] == Course(0.0)


def test_layer_decay_falls_from_the_top(rates: Callable[..., dict[str, Course]]) -> None:
    found = rates(learning_rate=1.0, tuning={"layer_decay": 0.5})
    assert [found[name].peak for name in NAMES] == [0.125, 0.25, 0.5, 1.0, 1.0]


def test_gradual_unfreezing_spreads_over_the_epochs(rates: Callable[..., dict[str, Course]]) -> None:
    found = rates(epochs=4, tuning={"gradual": True})
    assert [found[name].start for name in NAMES] == [3, 2, 1, 0, 0]
    few = rates(epochs=2, tuning={"gradual": True})
    assert [few[name].start for name in NAMES] == [1, 1, 0, 0, 0]


@pytest.mark.parametrize(("family", "norm"), [("esm", "encoder.emb_layer_norm_after"), ("modernbert", "final_norm")])
def test_what_follows_the_blocks_counts_as_the_top(
    rates: Callable[..., dict[str, Course]], family: str, norm: str
) -> None:
    name = f"encoder.model.{norm}.weight"
    found = rates(family, [name], learning_rate=1.0, tuning={"layer_decay": 0.5})
    assert found[name].peak == 1.0


def test_an_encoder_without_blocks_has_one_rate() -> None:
    class Bare(Encoder):
        width = 4

    settings = Settings(task="t", encoder="e", learning_rate=0.1)
    assert learning_rates(Bare(), ["encoder.weight"], settings) == {"encoder.weight": Course(0.1)}


def test_a_parameter_that_has_not_started_neither_moves_nor_counts() -> None:
    early, late = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
    courses = {"early": Course(0.1), "late": Course(0.1, start=1)}
    optimizer = build_optimizer({"early": early, "late": late}, Settings(task="t", encoder="e"), courses)

    def step(epoch: int) -> None:
        early.grad, late.grad = torch.ones(3), torch.ones(3)
        assert set_rates(optimizer, 0.5, epoch) == 0.05
        drop_idle_gradients(optimizer)
        optimizer.step()

    step(epoch=0)
    assert late.grad is None
    assert late not in optimizer.state
    assert torch.equal(late, torch.ones(3))
    step(epoch=1)
    # Adam's first step is the whole rate, whatever the gradient: nothing of the first epoch was remembered.
    torch.testing.assert_close(late.detach(), torch.full((3,), 0.95))


@pytest.mark.parametrize("optimizer", ["adamw", "adamw8bit"])
def test_a_resumed_run_is_the_same_run(tmp_path: Path, optimizer: str) -> None:
    pytest.importorskip("bitsandbytes")

    def build() -> tuple[nn.Linear, torch.optim.Optimizer]:
        torch.manual_seed(0)
        layer = nn.Linear(96, 96)  # large enough for 8-bit averages
        parameters = dict(layer.named_parameters())
        settings = Settings(task="t", encoder="e", optimizer=optimizer)
        return layer, build_optimizer(parameters, settings, dict.fromkeys(parameters, Course(0.01)))

    def work(layer: nn.Linear, chosen: torch.optim.Optimizer, steps: range) -> None:
        for step in steps:
            torch.manual_seed(step)
            layer(torch.randn(8, 96)).square().mean().backward()
            chosen.step()
            chosen.zero_grad()

    whole, chosen = build()
    work(whole, chosen, range(4))
    first, chosen = build()
    work(first, chosen, range(2))
    save_checkpoint(tmp_path, first.state_dict(), chosen, Progress(step=2))
    again, chosen = build()
    found = load_checkpoint(tmp_path)
    assert found is not None
    again.load_state_dict(found[0])
    restore_optimizer(chosen, found[1], found[2])
    work(again, chosen, range(2, 4))
    assert torch.equal(again.weight, whole.weight)
    assert torch.equal(again.bias, whole.bias)
    if optimizer == "adamw8bit":
        assert chosen.state[again.weight]["state1"].dtype == torch.uint8
