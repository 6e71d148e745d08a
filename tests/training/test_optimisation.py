"""The schedule against transformers' own, and which weights decay."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from transformers import get_cosine_schedule_with_warmup, get_linear_schedule_with_warmup

from labtune.encoder.methods.rates import Course
from labtune.settings import Settings
from labtune.training.optimisation import build_optimizer, drop_idle_gradients, rate_factor, set_rates

SETTINGS = Settings(task="t", encoder="tiny")
THEIRS = {"linear": get_linear_schedule_with_warmup, "cosine": get_cosine_schedule_with_warmup}


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@pytest.mark.parametrize("warmup", [0, 0.1, 7])
def test_schedule_is_that_of_transformers(schedule, warmup):
    """After the warm-up, to the digit; within it theirs starts with a step at rate 0, which learns nothing."""
    total = 50
    steps = round(warmup * total) if warmup < 1 else warmup
    factor = rate_factor(replace(SETTINGS, schedule=schedule, warmup=warmup), total)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = THEIRS[schedule](optimizer, steps, total)
    for step in range(total):
        if step >= steps:
            assert factor(step) == pytest.approx(theirs.get_last_lr()[0], abs=1e-12)
        optimizer.step()
        theirs.step()
    rising = [factor(step) for step in range(steps)]
    assert rising == pytest.approx([(step + 1) / (steps + 1) for step in range(steps)])


def test_constant_and_overlong_warmup():
    factor = rate_factor(replace(SETTINGS, schedule="constant", warmup=0.2), 10)
    assert [factor(step) for step in range(2, 10)] == [1.0] * 8
    rising = rate_factor(replace(SETTINGS, warmup=100), 10)
    assert [rising(step) for step in range(10)] == pytest.approx([(step + 1) / 101 for step in range(10)])


@pytest.fixture
def parameters():
    shapes = {"encoder.weight": (2, 2), "encoder.bias": (2,), "head.weight": (2, 2), "head.bias": (2,)}
    return {name: torch.nn.Parameter(torch.ones(shape)) for name, shape in shapes.items()}


RATES = {name: Course(1e-4) for name in ("encoder.weight", "encoder.bias")} | {
    name: Course(1e-3, start=1) for name in ("head.weight", "head.bias")
}


@pytest.mark.parametrize(("name", "kind"), [("adamw", torch.optim.AdamW), ("sgd", torch.optim.SGD)])
def test_vectors_do_not_decay(parameters, name, kind):
    optimizer = build_optimizer(parameters, replace(SETTINGS, optimizer=name, weight_decay=0.3), RATES)
    assert type(optimizer) is kind
    found = {id(p): (g["lr"], g["weight_decay"]) for g in optimizer.param_groups for p in g["params"]}
    assert [found[id(parameter)] for parameter in parameters.values()] == [
        (1e-4, 0.3),
        (1e-4, 0.0),
        (1e-3, 0.3),
        (1e-3, 0.0),
    ]


def test_rates_follow_the_factor_from_the_epoch_in_which_they_start(parameters):
    optimizer = build_optimizer(parameters, SETTINGS, RATES)
    assert set_rates(optimizer, 0.5, 0) == 0.5e-4
    assert {group["lr"] for group in optimizer.param_groups} == {0.5e-4, 0.0}
    for parameter in parameters.values():
        parameter.grad = torch.ones_like(parameter)
    drop_idle_gradients(optimizer)
    assert [name for name, parameter in parameters.items() if parameter.grad is None] == ["head.weight", "head.bias"]
    assert set_rates(optimizer, 0.5, 1) == 0.5e-3
