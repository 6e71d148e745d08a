"""Checkpoints that are damaged are noticed, and those that cannot be written leave nothing."""

from __future__ import annotations

import resource
import signal
from pathlib import Path

import pytest
import torch

from labtune.errors import RunError
from labtune.training.checkpoints import Progress, load_checkpoint, read_folder, restore_optimizer, save_checkpoint


@pytest.fixture
def model():
    torch.manual_seed(0)
    return torch.nn.Linear(4, 3)


def trained(model: torch.nn.Module, kind=torch.optim.AdamW, **options) -> torch.optim.Optimizer:
    optimizer = kind(model.parameters(), lr=0.1, **options)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.ones(2, 4)).square().sum().backward()
        optimizer.step()
    return optimizer


def save(folder: Path, model, optimizer, *steps: int) -> None:
    for step in steps:
        save_checkpoint(folder, dict(model.named_parameters()), optimizer, Progress(step=step, best_score=0.1 + step))


@pytest.mark.parametrize(("kind", "options"), [(torch.optim.AdamW, {}), (torch.optim.SGD, {"momentum": 0.9})])
def test_what_is_read_goes_on_as_what_was_written(tmp_path, model, kind, options):
    optimizer = trained(model, kind, **options)
    save(tmp_path, model, optimizer, 3)
    weights, arrays, scalars, progress = load_checkpoint(tmp_path)
    assert progress == Progress(step=3, best_score=3.1)
    other = torch.nn.Linear(4, 3)
    other.load_state_dict(weights)
    fresh = kind(other.parameters(), lr=0.1, **options)
    restore_optimizer(fresh, arrays, scalars)
    for module, each in ((model, optimizer), (other, fresh)):
        each.zero_grad()
        module(torch.ones(2, 4)).square().sum().backward()
        each.step()
    assert torch.equal(model.weight, other.weight)
    assert torch.equal(model.bias, other.bias)


def test_two_are_kept_and_leftovers_go(tmp_path, model):
    (tmp_path / ".step-00000009.partial").mkdir()
    save(tmp_path, model, trained(model), 1, 2, 10)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000002", "step-00000010"]


def test_no_pickle(tmp_path, model):
    save(tmp_path, model, trained(model), 1)
    names = sorted(path.name for path in (tmp_path / "step-00000001").iterdir())
    assert names == ["optimizer.safetensors", "state.json", "weights.safetensors"]


@pytest.mark.parametrize("name", ["optimizer.safetensors", "state.json", "weights.safetensors"])
def test_any_flipped_bit_is_noticed(tmp_path, model, name):
    save(tmp_path, model, trained(model), 1)
    file = tmp_path / "step-00000001" / name
    whole = file.read_bytes()
    expected = read_folder(file.parent)[1]
    for position in range(0, len(whole), max(1, len(whole) // 150)):
        for bit in (0, 6):
            damaged = bytearray(whole)
            damaged[position] ^= 1 << bit
            file.write_bytes(damaged)
            found = read_folder(file.parent)
            assert found is None or found[1] == expected  # a blank of the JSON may become another one
            assert found is None or name == "state.json"


@pytest.mark.parametrize("name", ["optimizer.safetensors", "state.json", "weights.safetensors"])
def test_the_one_before_a_truncated_one_is_used(tmp_path, model, name, caplog):
    save(tmp_path, model, trained(model), 1, 2)
    file = tmp_path / "step-00000002" / name
    file.write_bytes(file.read_bytes()[:-1])
    assert load_checkpoint(tmp_path)[3].step == 1
    assert caplog.messages == [f"{tmp_path / 'step-00000002'} is damaged; using the checkpoint before it"]


def test_all_damaged(tmp_path, model):
    assert load_checkpoint(tmp_path) is None
    save(tmp_path, model, trained(model), 1, 2)
    for file in tmp_path.glob("*/weights.safetensors"):
        file.unlink()
    with pytest.raises(RunError, match="every checkpoint is damaged; start again without --resume"):
        load_checkpoint(tmp_path)


@pytest.fixture
def small_disk():
    """Let no file grow beyond a number of bytes, which looks like a full disk to whoever writes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, previous)


@pytest.mark.parametrize("size", [0, 250])
def test_a_full_disk_leaves_what_was_there(tmp_path, model, small_disk, size):
    """The limits hit the first file, and the one with the optimiser's state."""
    optimizer = trained(model)
    save(tmp_path, model, optimizer, 1)
    small_disk(size)
    with pytest.raises(
        RunError, match=r"step-00000002: cannot write \(.*\); free space and go on with --resume"
    ) as caught:
        save(tmp_path, model, optimizer, 2)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]
    assert load_checkpoint(tmp_path)[3].step == 1
