"""A plan says what a training takes: the same bytes as the real thing, without any of it."""

from __future__ import annotations

import json
import platform

import numpy as np
import pytest
import torch
from transformers import BertConfig

from labtune.catalog import load_catalog
from labtune.cli import main
from labtune.cli.plan import size
from labtune.data.splits import load_splits
from labtune.encoder.methods.rates import learning_rates
from labtune.encoder.outline import outline_encoder
from labtune.encoder.tiny import byte_tokenizer
from labtune.parts import build_parts
from labtune.planning import plan
from labtune.planning.footprint import Footprint, arithmetic, largest_pass, measure, state_size
from labtune.planning.ledger import Ledger, fake_mode, size_of
from labtune.planning.planner import program_size
from labtune.settings import resolve_settings
from labtune.training.optimisation import build_optimizer

TASK = "finance.sentiment"
CATALOG = load_catalog()


def settings_of(**flags):
    return resolve_settings(CATALOG, TASK, {"encoder": "tiny", "batch_tokens": 1024, "audit": "off", **flags})


def real_step(parts, batch, settings, passes):
    """Most bytes alive in real forward and backward passes."""
    known = [*parts.model.parameters(), *parts.model.buffers()]
    with Ledger(fake_mode(), known) as ledger:
        for _ in range(passes):
            with arithmetic(settings):
                output = parts.model(batch)
            parts.loss(output, batch).backward()
            del output
    return ledger.peak


@pytest.mark.parametrize(
    ("method", "bits", "precision"),
    [("full", 32, "float32"), ("full", 32, "bfloat16"), ("lora", 4, "bfloat16")],
)
def test_a_plan_is_what_the_real_step_takes(method, bits, precision):
    settings = settings_of(method=method, bits=bits, precision=precision, dropout=0.0)
    splits = load_splits(CATALOG.task(TASK), settings)
    real = build_parts(settings, CATALOG, splits.labels)
    real.model.train()
    train = real.tokenizer(splits.records["train"])
    mode = fake_mode()
    outline = build_parts(settings, CATALOG, splits.labels, encoder=outline_encoder(settings, CATALOG, mode=mode))
    found = measure(outline, {"train": train}, settings, mode)
    assert found.weights == size_of([*real.model.parameters(), *real.model.buffers()])
    batch, several = largest_pass(train, settings)
    assert found.activations + found.gradients == pytest.approx(
        real_step(real, batch, settings, 2 if several else 1), rel=0.03
    )


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "adamw8bit"])
def test_state_of_the_optimizer(optimizer):
    settings = settings_of(optimizer=optimizer)
    layer = torch.nn.Linear(80, 64)
    parts = build_parts(settings, CATALOG, load_splits(CATALOG.task(TASK), settings).labels)
    rate = next(iter(learning_rates(parts.model.encoder, parts.model.trainable(), settings).values()))
    parameters = dict(layer.named_parameters())
    made = build_optimizer(parameters, settings, dict.fromkeys(parameters, rate))
    layer(torch.ones(1, 80)).sum().backward()
    made.step()
    for parameter in parameters.values():
        arrays = [value for value in made.state[parameter].values() if torch.is_tensor(value) and value.dim()]
        tables = [array for array in arrays if array.numel() == 256 and parameter.numel() >= 4096]  # shared by all
        assert state_size(parameter, settings) == size_of(arrays) - size_of(tables)


@pytest.fixture(scope="module")
def weightless(tmp_path_factory):
    """A folder with a configuration and a vocabulary, and a model that nobody has."""
    folder = tmp_path_factory.mktemp("giant")
    config = BertConfig(
        vocab_size=300, hidden_size=4096, num_hidden_layers=2, num_attention_heads=64, intermediate_size=16384
    )
    config.save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


def test_what_would_fit_instead(weightless):
    settings = settings_of(encoder=str(weightless))
    memory = program_size() + 26 * 10**8  # however large the program is that runs the tests
    found = plan(settings, catalog=CATALOG, memory=memory, timed=False)
    weights = 2 * (4 * 4096**2 + 2 * 4096 * 16384)
    assert found.footprint.weights == pytest.approx(4 * weights, rel=0.02)
    assert found.footprint.optimizer == pytest.approx(2 * found.footprint.gradients, rel=1e-6)
    assert not found.fits
    [lighter] = found.instead  # smaller passes do not help where weights and optimiser are too large
    assert lighter.flags == "--method lora --bits 16"
    assert found.program + 2 * weights < lighter.bytes < memory


def test_depth_is_a_straight_line(tmp_path):
    """What a plan infers from two and four blocks is what all seven take."""
    shape = {"vocab_size": 300, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}
    BertConfig(**shape, num_hidden_layers=7).save_pretrained(tmp_path)
    byte_tokenizer().save_pretrained(tmp_path)
    settings = settings_of(encoder=str(tmp_path), batch_size=8)
    splits = load_splits(CATALOG.task(TASK), settings)
    mode = fake_mode()
    whole = build_parts(settings, CATALOG, splits.labels, encoder=outline_encoder(settings, CATALOG, mode=mode))
    expected = measure(
        whole, {part: whole.tokenizer(records) for part, records in splits.records.items()}, settings, mode
    )
    found = plan(settings, catalog=CATALOG, timed=False).footprint
    assert found.total == pytest.approx(expected.total, rel=0.005)


def test_command(capsys):
    words = ["plan", TASK, "--encoder", "tiny", "--set", "batch_tokens=512", "--no-time"]
    assert main([*words, "--memory", "1MB"]) == 1
    assert "does not fit in 1 MB; nor does anything lighter" in capsys.readouterr().out
    assert main([*words, "--memory", "100GB", "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["fits"]
    assert told["memory"]["total"] == sum(part for name, part in told["memory"].items() if name != "total")


@pytest.mark.parametrize("task", ["protein.property", "protein.contact", "expression.promoter", "expression.cell_type"])
def test_losses_heads_and_encoders_that_look_at_numbers(task):
    encoder = {"encoder": "tiny"} if task.startswith("protein.") else {}
    found = plan(resolve_settings(CATALOG, task, {"audit": "off", **encoder}), catalog=CATALOG, timed=False)
    assert found.footprint.activations > 0


def test_time_is_measured(capsys):
    assert main(["plan", TASK, "--encoder", "tiny", "--method", "head"]) == 0
    assert "(measured on a few steps of the encoder)" in capsys.readouterr().out


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc" or torch.cuda.is_available(), reason="GNU's allocator")
def test_holes_are_counted_of_small_blocks():
    before = Footprint(weights=100, gradients=80, optimizer=160, activations=0, holes=0, data=2)
    found = before.with_passes(np.array([500, 200]), 32)
    assert (found.activations, found.holes) == (500, 130)
    assert found.total == before.total + 630
    assert before.with_passes(np.array([500, 200]), 4).holes == 180


def test_several_processes():
    alone = Footprint(weights=100, gradients=80, optimizer=160, activations=30, holes=10, data=2)
    assert alone.among(1, shard=False) == alone
    assert alone.among(4, shard=False).total == 100 + 160 + 160 + 30 + 10 + 2
    assert alone.among(4, shard=True).total == 100 + 20 + 40 + 30 + 10 + 2


@pytest.mark.parametrize(("text", "expected"), [("8GB", 8 * 10**9), ("1.5 GiB", 3 * 2**29), ("300MB", 3 * 10**8)])
def test_sizes(text, expected):
    assert size(text) == expected


@pytest.mark.parametrize("text", ["8", "GB", "-1GB", "8gb"])
def test_no_sizes(capsys, text):
    assert main(["plan", TASK, f"--memory={text}"]) == 2
    assert "must be a number and one of MB, GB, MiB, GiB, such as 8GB" in capsys.readouterr().err
