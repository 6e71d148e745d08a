"""A head on stored hidden states learns what it learns on an encoder that computes them anew."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from accelerate import Accelerator

from labtune.errors import RunError
from labtune.inference import predict
from labtune.training.frozen import embedded, is_frozen
from labtune.training.loop import fit


def head_of(training, *, stored: bool, **options):
    torch.manual_seed(0)
    made = training(frozen=True, **options)
    accelerator = Accelerator()
    if stored:
        with embedded(made, accelerator) as ready:
            progress = fit(ready, accelerator)
    else:
        progress = fit(made, accelerator)
    return made, progress


def test_stored_states_give_the_same_head(training):
    (plain, first), (stored, second) = head_of(training, stored=False), head_of(training, stored=True)
    assert second.best_score == first.best_score
    for name, tensor in plain.model.head.state_dict().items():
        assert torch.allclose(stored.model.head.state_dict()[name], tensor, atol=1e-6), name
    predictions = [predict(made.model, made.valid, batch_tokens=100) for made in (plain, stored)]
    for left, right in zip(*predictions, strict=True):
        assert right.probabilities == pytest.approx(left.probabilities, abs=1e-5)


@pytest.mark.parametrize("stored", [False, True])
def test_the_first_step_learns_in_training_mode(training, stored):
    made = training(frozen=stored, epochs=1)
    made.model.eval()  # as models are read
    modes = []
    made.model.head.register_forward_pre_hook(lambda head, _: modes.append(head.training))
    accelerator = Accelerator()
    with embedded(made, accelerator) if stored else nullcontext(made) as ready:
        fit(ready, accelerator)
    assert modes[0]


def test_the_encoder_runs_once(training):
    torch.manual_seed(0)
    made = training(frozen=True, epochs=5)
    seen = []
    made.model.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0]["input_ids"])))
    with embedded(made, Accelerator()) as ready:
        fit(ready, Accelerator())
    assert sum(seen) == len(made.train) + len(made.valid)


def test_windows_are_put_together_before_they_are_stored(training):
    made = training(frozen=True)
    made.model.encoder.limit = 16
    made.model.eval()
    with embedded(made, Accelerator()) as ready, torch.inference_mode():
        stored = ready.model.encode(ready.train)
        computed = made.model.encode(made.train)
    assert stored.bounds == computed.bounds
    assert torch.allclose(stored.values, computed.values, atol=1e-3)


def test_the_file_goes(training):
    made = training(frozen=True)
    with embedded(made, Accelerator()):
        assert len(list(made.checkpoints.iterdir())) == 2
    assert list(made.checkpoints.iterdir()) == []


def test_refused_while_anything_of_the_encoder_learns(training):
    made = training(frozen=True)
    assert is_frozen(made.model)
    next(made.model.encoder.parameters()).requires_grad_(True)
    assert not is_frozen(made.model)
    with pytest.raises(ValueError, match="while the encoder learns"), embedded(made, Accelerator()):
        pass


def test_no_room_for_the_states(training, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    made = training(frozen=True)
    with (
        pytest.raises(RunError, match=r"train.states: cannot write \(No space left on device\)"),
        embedded(made, Accelerator()),
    ):
        pass
    assert list(made.checkpoints.iterdir()) == []


def test_a_head_may_learn_from_all_states_at_once(training):
    made = training(frozen=True)
    seen = []

    def settle(batch, encode):
        piece = batch.select([5, 2])
        seen.append((len(batch), encode(piece), made.model.encode(piece)))

    made.model.head.settle = settle
    with embedded(made, Accelerator()) as ready:
        fit(ready, Accelerator())
    ((count, found, expected),) = seen
    assert count == len(made.train)
    torch.testing.assert_close(found.values, expected.values, atol=1e-5, rtol=1e-5)
    assert found.offsets.tolist() == expected.offsets.tolist()
