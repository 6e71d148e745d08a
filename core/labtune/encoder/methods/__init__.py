"""Which weights of the encoder learn, and at what rate by default."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from labtune.catalog import Catalog
from labtune.encoder.base import Encoder
from labtune.encoder.loading import load_encoder
from labtune.errors import SettingsError
from labtune.settings import Settings

DEFAULT_RATES: Mapping[str, float] = {"full": 5e-5, "head": 1e-3}
HEAD_RATE = 1e-3


def apply_method(encoder: Encoder, settings: Settings) -> None:
    """Freeze or adapt the encoder as the method says."""
    if settings.method not in DEFAULT_RATES:
        raise SettingsError(f"method {settings.method!r} is not available; known: {', '.join(DEFAULT_RATES)}")
    encoder.requires_grad_(settings.method == "full")


def learning_rates(settings: Settings) -> tuple[float, float]:
    """Rates of encoder and head: as set, else the method's own."""
    rate = settings.learning_rate or DEFAULT_RATES[settings.method]
    return rate, settings.head_learning_rate or max(rate, HEAD_RATE)


def save_trained(encoder: Encoder, settings: Settings, folder: Path) -> None:
    """Write what training changed of the encoder."""
    if settings.method == "full":
        encoder.save(folder)


def load_trained(settings: Settings, catalog: Catalog, folder: Path) -> Encoder:
    """Read the encoder of a finished run."""
    trained = str(folder) if folder.is_dir() else settings.encoder
    return load_encoder(trained, catalog, dropout=settings.dropout, options=settings.encoder_options)
