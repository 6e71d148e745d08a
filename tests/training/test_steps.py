"""How a step is cut changes nothing that is learned, and memory that runs out only cuts it finer."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from labtune.errors import TrainingError
from labtune.training.journal import Journal
from labtune.training.loop import fit, weights_of
from labtune.training.steps import StepRunner

ROWS = np.array([3, 17, 5, 11, 8, 0, 23])


def gradients(training, budget: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    made = training(batch_tokens=budget)
    runner = StepRunner(made, Accelerator(), made.model, None, budget=4096)
    assert runner._gradients(ROWS, 0) is not None
    return {name: parameter.grad for name, parameter in made.model.trainable().items()}


@pytest.mark.parametrize("budget", [1, 45, 80])
def test_gradients_do_not_depend_on_the_budget(training, budget):
    whole, cut = gradients(training, 4096), gradients(training, budget)
    for name, gradient in whole.items():
        assert torch.allclose(cut[name], gradient, atol=1e-6), name


def test_the_gradient_is_that_of_the_average_over_targets(training):
    made = training()
    batch = made.train.select(ROWS.tolist())
    made.model.train()
    made.loss(made.model(batch), batch).backward()
    expected = {name: parameter.grad.clone() for name, parameter in made.model.trainable().items()}
    made.model.zero_grad()
    StepRunner(made, Accelerator(), made.model, None, budget=4096)._gradients(ROWS, 0)
    for name, parameter in made.model.trainable().items():
        assert torch.allclose(parameter.grad, expected[name], atol=1e-6), name


def short_of_memory(model: torch.nn.Module, limit: int, error: Exception) -> list[int]:
    """Let forward passes of more than ``limit`` tokens fail; return the sizes that were tried."""
    tried: list[int] = []

    def check(_, arguments):
        tried.append(len(arguments[0].tokens.values))
        if tried[-1] > limit:
            raise error

    model.register_forward_pre_hook(check)
    return tried


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
)
def test_short_memory_halves_the_budget_for_good(training, error):
    made = training(batch_tokens=400, patience=0)
    with torch.random.fork_rng():
        before = {name: tensor.clone() for name, tensor in weights_of(made.model).items()}
        tried = short_of_memory(made.model, 110, error)
        progress = fit(made, Accelerator())
    assert progress.batch_tokens == 100
    assert sum(size > 110 for size in tried) <= 3  # 400 and 200 once each, and validation is cut likewise
    events = [json.loads(line) for line in made.log.read_text().splitlines()]

    told = [event for event in events if event["event"] == "memory"]
    assert [event["batch_tokens"] for event in told] == [200, 100]
    assert told[0]["message"] == "memory ran out at step 1: going on with 200 tokens a batch"
    after = weights_of(made.model)
    assert any(not torch.equal(after[name], tensor) for name, tensor in before.items())


def test_short_memory_does_not_change_what_is_learned(training):
    torch.manual_seed(0)
    short = training(batch_tokens=400)
    short_of_memory(short.model, 110, torch.OutOfMemoryError())
    fit(short, Accelerator())
    torch.manual_seed(0)
    whole = training(batch_tokens=100)
    fit(whole, Accelerator())
    for name, tensor in weights_of(whole.model).items():
        assert torch.equal(weights_of(short.model)[name], tensor), name


def test_one_record_that_does_not_fit_is_an_error(training):
    made = training(batch_tokens=400)
    short_of_memory(made.model, 20, torch.OutOfMemoryError())
    with pytest.raises(TrainingError, match=r"memory ran out at step 1 with one record of \d+ tokens at a time"):
        fit(made, Accelerator())


def test_other_errors_are_not_taken_for_memory(training):
    made = training()
    short_of_memory(made.model, 0, RuntimeError("shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="shapes"):
        fit(made, Accelerator())


def test_a_loss_that_is_not_finite_is_an_error(training, tmp_path):
    made = training()
    with torch.no_grad():
        made.model.head.linear.bias.fill_(float("nan"))
    runner = StepRunner(made, Accelerator(), made.model, torch.optim.SGD(made.model.parameters()), 400)
    with pytest.raises(TrainingError, match="the loss is nan at step 5; try a smaller learning rate"):
        runner(ROWS, 4, Journal(None, total=1))


def test_a_remembered_budget_is_kept(training):
    made = training(batch_tokens=400)
    for remembered, expected in ((100, 100), (800, 400)):
        assert StepRunner(made, Accelerator(), made.model, None, remembered).budget == expected
