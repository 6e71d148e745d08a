"""Encoders with their fine-tuning method: fresh for a training, or as a training left them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch
from torch import Tensor, nn

from labtune.catalog import Catalog
from labtune.device import give_back_memory
from labtune.encoder.base import Encoder
from labtune.encoder.bits import store
from labtune.encoder.hub import HubEncoder
from labtune.encoder.loading import load_encoder
from labtune.encoder.methods import method_of
from labtune.encoder.methods.base import Method
from labtune.errors import RunError
from labtune.settings import Settings

BASE_FILE = "base.json"


def build_encoder(settings: Settings, catalog: Catalog) -> Encoder:
    """Load the base encoder, store its frozen weights in few bits, and make it ready to learn.

    Random first weights are drawn from torch's global state.
    """
    encoder = _load(settings.encoder, settings, catalog)
    return _prepare(encoder, method_of(settings), settings)


def save_trained(encoder: Encoder, settings: Settings, folder: Path) -> None:
    """Write what training changed of the encoder, and the fingerprint of the base that it belongs to."""
    method = method_of(settings)
    folder.mkdir(parents=True, exist_ok=True)
    method.save(encoder, folder, _address(encoder, settings))
    if not method.whole:
        about = {"encoder": settings.encoder, "sha256": encoder.fingerprint}
        (folder / BASE_FILE).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def load_trained(settings: Settings, catalog: Catalog, folder: Path) -> Encoder:
    """Read the encoder of a finished run.

    Raises
    ------
    RunError
        If a file is missing or damaged, or the base encoder is not the one that was trained.
    """
    method = method_of(settings)
    if method.whole:
        return _load(str(folder), settings, catalog)
    encoder = _prepare(_load(settings.encoder, settings, catalog), method, settings)
    _check_base(encoder, folder / BASE_FILE)
    method.load(encoder, folder)
    return encoder


def fingerprint(module: nn.Module) -> str:
    """SHA-256 over a module's numbers, whatever their names and order."""
    digests = sorted(_digest(tensor) for tensor in module.state_dict().values())
    return hashlib.sha256(b"".join(digests)).hexdigest()


def _prepare(encoder: Encoder, method: Method, settings: Settings) -> Encoder:
    if not method.whole:
        encoder.fingerprint = fingerprint(encoder)
    method.freeze(encoder)
    store(encoder, settings.bits)
    method.extend(encoder)
    give_back_memory()
    return encoder


def _load(name: str, settings: Settings, catalog: Catalog) -> Encoder:
    return load_encoder(name, catalog, dropout=settings.dropout, options=settings.encoder_options)


def _address(encoder: Encoder, settings: Settings) -> str:
    """Where other libraries find the base: its hub id or folder, not the name of a plugin's component."""
    if "/" in settings.encoder or not isinstance(encoder, HubEncoder):
        return settings.encoder
    return str(encoder.model.name_or_path) or settings.encoder


def _check_base(encoder: Encoder, path: Path) -> None:
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        name, expected = about["encoder"], about["sha256"]
    except (OSError, ValueError, KeyError) as error:
        raise RunError(f"{path} cannot be read; the run folder is damaged") from error
    if expected != encoder.fingerprint:
        raise RunError(
            f"this run was trained on other weights than those of encoder {name!r} here (SHA-256 {expected[:12]}…, "
            f"not {encoder.fingerprint[:12]}…): bring the original encoder back, or train again"
        )


def _digest(tensor: Tensor) -> bytes:
    data = tensor.detach().cpu().contiguous()
    described = f"{data.dtype}{tuple(data.shape)}".encode()
    return hashlib.sha256(described + data.flatten().view(torch.uint8).numpy().tobytes()).digest()
