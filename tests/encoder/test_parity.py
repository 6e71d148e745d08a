"""Packed batches give the numbers of transformers' own padded forward pass, for every family."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModel

from labtune.encoder.families import FAMILIES
from labtune.encoder.hub import HubEncoder
from labtune.encoder.reading import Reading, read_encoder
from labtune.ragged import Ragged

CASES = ["bert", "roberta", "xlm-roberta", "camembert", "electra", "distilbert", "esm", "esm-absolute", "modernbert"]
MASK = 32  # of the ESM configurations; an ordinary token elsewhere
MIXES = {
    "one token": [1],
    "short and long": [1, 130, 2, 64, 65, 63, 1],
    "hundreds alike": [7] * 200,
    "sentences": [12, 31, 9, 9, 44, 3, 80, 27, 18, 5, 33, 33, 21, 16, 58, 7],
    "beyond stored scores": [600, 40, 520, 12],
}


def tokens_of(lengths: Sequence[int], seed: int = 0, low: int = 5) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(low, 60, (length,), generator=generator) for length in lengths]


def reference(folder: Path, rows: list[Tensor]) -> tuple[Tensor, torch.nn.Module]:
    """What transformers computes, padded, with its plainest attention: real rows ``(N, C)``, and the model."""
    model = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    fill = model.config.pad_token_id
    ids = pad_sequence(rows, batch_first=True, padding_value=fill)
    mask = pad_sequence([torch.ones(len(row), dtype=torch.long) for row in rows], batch_first=True)
    hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
    return hidden[mask.bool()], model


def encoder_of(folder: Path, *, packed: bool = True) -> HubEncoder:
    encoder = read_encoder(folder, "test", Reading(packed=packed)).eval()
    assert encoder.packed == packed
    return encoder


def run(encoder: HubEncoder, rows: list[Tensor]) -> Tensor:
    return encoder({"input_ids": Ragged.from_rows(rows)}).values


def test_every_family_is_compared() -> None:
    assert {case.removesuffix("-absolute") for case in CASES} == set(FAMILIES)


@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize("family", CASES)
def test_forward_as_padded(family: str, mix: str, saved: Callable[[str], Path]) -> None:
    rows = tokens_of(MIXES[mix])
    with torch.no_grad():
        expected, _ = reference(saved(family), rows)
        torch.testing.assert_close(run(encoder_of(saved(family)), rows), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", CASES)
def test_gradients_as_padded(family: str, saved: Callable[[str], Path]) -> None:
    rows = tokens_of(MIXES["sentences"], seed=1)
    expected, model = reference(saved(family), rows)
    weights = torch.randn(expected.shape, generator=torch.Generator().manual_seed(2)) / len(expected)
    (expected * weights).sum().backward()
    encoder = encoder_of(saved(family)).train()  # the configurations' own dropout must be switched off for this
    for module in encoder.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    (run(encoder, rows) * weights).sum().backward()
    wanted = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}
    found = {name: parameter.grad for name, parameter in encoder.model.named_parameters()}
    assert found.keys() == wanted.keys(), "every parameter that is left must learn"
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-5, rtol=1e-4, msg=lambda m, n=name: f"{n}: {m}")


def test_reading_across_records_would_be_seen(saved: Callable[[str], Path]) -> None:
    """The comparison is sharp: one record made of two gives other numbers by far."""
    rows = tokens_of([20, 20])
    with torch.no_grad():
        expected, _ = reference(saved("bert"), rows)
        joined, _ = reference(saved("bert"), [torch.cat(rows)])
    assert (expected - joined).abs().max() > 0.1


@pytest.mark.parametrize("family", CASES)
def test_a_record_never_moves_another(family: str, saved: Callable[[str], Path]) -> None:
    lengths = MIXES["sentences"]
    encoder = encoder_of(saved(family))
    rows = tokens_of(lengths)
    for changed in (0, 5, 6):
        other = list(rows)
        other[changed] = tokens_of([lengths[changed]], seed=9)[0]
        with torch.no_grad():
            before, after = (Ragged.from_rows(each).with_values(run(encoder, each)) for each in (rows, other))
        same = [index for index in range(len(rows)) if index != changed]
        assert all(torch.equal(before[index], after[index]) for index in same)
        assert not torch.allclose(before[changed], after[changed], atol=1e-3)


def test_esm_scales_each_record_by_its_own_masks(saved: Callable[[str], Path]) -> None:
    rows = tokens_of([30, 12, 50])
    rows[0][3:13] = MASK
    rows[2][7] = MASK
    with torch.no_grad():
        expected, _ = reference(saved("esm"), rows)
        torch.testing.assert_close(run(encoder_of(saved("esm")), rows), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("length", [8, 9, 17, 200, 600])
def test_modernbert_around_its_local_window(length: int, saved: Callable[[str], Path]) -> None:
    rows = tokens_of([length, length, 5])
    with torch.no_grad():
        expected, _ = reference(saved("modernbert"), rows)
        torch.testing.assert_close(run(encoder_of(saved("modernbert")), rows), expected, atol=1e-5, rtol=1e-5)


def test_second_segment_of_a_pair(saved: Callable[[str], Path]) -> None:
    rows = tokens_of([9, 30, 4])
    kinds = [(torch.arange(len(row)) > 3).long() for row in rows]
    encoder = encoder_of(saved("bert"))
    model = AutoModel.from_pretrained(saved("bert"), attn_implementation="eager").eval()
    with torch.no_grad():
        hidden = encoder({"input_ids": Ragged.from_rows(rows), "token_type_ids": Ragged.from_rows(kinds)})
        for index, (row, kind) in enumerate(zip(rows, kinds, strict=True)):
            expected = model(input_ids=row[None], token_type_ids=kind[None]).last_hidden_state[0]
            torch.testing.assert_close(hidden[index], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", ["bert", "deberta-v2"])
def test_padded_where_asked_or_needed(family: str, saved: Callable[[str], Path]) -> None:
    rows = tokens_of(MIXES["sentences"])
    with torch.no_grad():
        expected, _ = reference(saved(family), rows)
        torch.testing.assert_close(run(encoder_of(saved(family), packed=False), rows), expected, atol=1e-5, rtol=1e-5)


def test_an_unknown_family_says_that_it_is_padded(
    saved: Callable[[str], Path], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="labtune"):
        encoder = read_encoder(saved("deberta-v2"), "test", Reading())
    assert not encoder.packed
    assert [record.getMessage() for record in caplog.records] == ["this deberta-v2 encoder runs padded"]


@pytest.mark.parametrize("family", ["bert", "esm", "modernbert"])
def test_checkpointing_changes_no_gradient(family: str, saved: Callable[[str], Path]) -> None:
    rows = tokens_of([12, 40, 80])
    gradients = []
    for checkpointing in (False, True):
        encoder = read_encoder(
            saved(family), "test", Reading(dropout=0.0, gradient_checkpointing=checkpointing)
        ).train()
        run(encoder, rows).square().mean().backward()
        gradients.append([parameter.grad for parameter in encoder.parameters()])
    for plain, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, recomputed)
