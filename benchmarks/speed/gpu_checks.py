"""Checks of exactness on whatever device there is: packed against padded, records apart, frozen weights in few bits."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import common
import torch
from torch import Tensor
from transformers import AutoModel, BertConfig, EsmConfig, ModernBertConfig

from labtune.encoder.base import Encoder
from labtune.encoder.bits import store
from labtune.encoder.reading import Reading, read_encoder
from labtune.ragged import Ragged

LENGTHS = [130, 7, 64, 1, 33, 300, 12, 12, 65, 200]
SIZE = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 256}
# Weights large enough that attention decides the states: the untrained ones of a fresh model hardly attend.
COMMON: dict[str, Any] = {**SIZE, "vocab_size": 60, "max_position_embeddings": 512, "initializer_range": 0.1}
FAMILIES = {
    "bert": BertConfig(**COMMON),
    "esm": EsmConfig(
        **COMMON, pad_token_id=1, mask_token_id=32, token_dropout=True, position_embedding_type="rotary",
        emb_layer_norm_before=False,
    ),
    "modernbert": ModernBertConfig(
        **COMMON, local_attention=32, pad_token_id=0, cls_token_id=2, sep_token_id=3, bos_token_id=2, eos_token_id=3
    ),
}  # fmt: skip
# Largest relative error: of the norm of the difference to the norm of what is expected.
TOLERANCES = {torch.float32: 1e-3, torch.bfloat16: 3e-2}


def checks() -> Iterator[dict[str, Any]]:
    """Do every check; each gives a name, an error and whether it is small enough."""
    for family, config in FAMILIES.items():
        with tempfile.TemporaryDirectory() as folder:
            torch.manual_seed(0)
            AutoModel.from_config(config).save_pretrained(folder)
            for dtype, tolerance in TOLERANCES.items():
                for kind, error in packed_against_padded(Path(folder), dtype).items():
                    yield _judged(f"{family}: {kind} in {_name(dtype)}, packed against padded", error, tolerance)
            yield _judged(f"{family}: a record moves another", moved(Path(folder)), 0.0)
    with tempfile.TemporaryDirectory() as folder:
        AutoModel.from_config(FAMILIES["esm"]).save_pretrained(folder)
        for bits in (16, 8, 4):
            yield _judged(
                f"weights in {bits} bits, this device against the CPU", device_error(Path(folder), bits), 1e-3
            )


def packed_against_padded(folder: Path, dtype: torch.dtype) -> dict[str, float]:
    """Relative errors of hidden states and gradients; what is expected is padded and in float32."""
    expected = _states_and_gradients(folder, packed=False, dtype=torch.float32)
    found = _states_and_gradients(folder, packed=True, dtype=dtype)
    return {kind: _error(found[kind], expected[kind]) for kind in expected}


def moved(folder: Path) -> float:
    """Largest change of other records' states when one is replaced by another of its length."""
    encoder = _encoder(folder, packed=True)
    rows = _rows()
    other = [*rows[:2], rows[2].flip(0), *rows[3:]]
    with torch.no_grad():
        before, after = (_run(encoder, chosen, torch.bfloat16) for chosen in (rows, other))
    kept = torch.cat([torch.full((len(row),), index != 2) for index, row in enumerate(rows)])
    return float((before - after)[kept].abs().max())


def device_error(folder: Path, bits: int) -> float:
    """Relative error of states on this device against those on the CPU, weights in few bits, arithmetic in float32."""
    states = []
    for device in ("cpu", common.device()):
        encoder = read_encoder(folder, "check", Reading(dropout=0.0)).eval()
        encoder.requires_grad_(False)
        store(encoder, bits)
        with torch.no_grad():
            states.append(_run(encoder.to(device), _rows(), torch.float32, device))
    return _error(states[1], states[0])


def _states_and_gradients(folder: Path, *, packed: bool, dtype: torch.dtype) -> dict[str, Tensor]:
    encoder = _encoder(folder, packed=packed)
    states = _run(encoder, _rows(), dtype)
    weights = torch.randn(states.shape, generator=torch.Generator().manual_seed(1))
    (states * weights).sum().backward()
    gradients = [weight.grad.flatten().cpu() for weight in encoder.parameters() if weight.grad is not None]
    return {"states": states.detach(), "gradients": torch.cat(gradients)}


def _encoder(folder: Path, *, packed: bool) -> Encoder:
    encoder = read_encoder(folder, "check", Reading(dropout=0.0, packed=packed)).eval()
    assert encoder.packed == packed
    return encoder.to(common.device())


def _run(encoder: Encoder, rows: list[Tensor], dtype: torch.dtype, device: str | None = None) -> Tensor:
    """States ``(N, C)`` in float32 on the CPU."""
    chosen = device or common.device()
    with torch.autocast(chosen, dtype, enabled=dtype != torch.float32):
        states: Tensor = encoder({"input_ids": Ragged.from_rows(rows).to(chosen)}).values
    return states.float().cpu()


def _rows() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(5, 30, (length,), generator=generator) for length in LENGTHS]


def _error(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


def _judged(name: str, error: float, tolerance: float) -> dict[str, Any]:
    return {"check": name, "error": error, "tolerance": tolerance, "ok": error <= tolerance}


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
