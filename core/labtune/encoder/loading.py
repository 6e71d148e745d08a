"""From an encoder's name to the encoder: a component of a plugin, a local folder or a hub id."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, RepositoryNotFoundError
from torch import nn

from labtune.catalog import Catalog
from labtune.encoder.base import Encoder
from labtune.encoder.built import Origin, load_weights, read_origin
from labtune.encoder.hub import quiet
from labtune.encoder.reading import Reading, read_encoder
from labtune.errors import EncoderError, SettingsError, nearest

READING = tuple(option.name for option in fields(Reading) if option.name != "dropout")
FILES = ("*.json", "*.txt", "*.model", "*.safetensors")  # of a hub model; never pickles, never code


def load_encoder(
    name: str, catalog: Catalog, *, dropout: float | None = None, options: Mapping[str, Any] | None = None
) -> Encoder:
    """Build the encoder that a name stands for.

    Parameters
    ----------
    name
        A component of the catalog, else an existing folder, else a hub id. The folder may be one of ``Encoder.save``.
    catalog
        What is installed.
    dropout
        Dropout of hidden states; the model's own rate when None.
    options
        Those of :class:`labtune.encoder.reading.Reading` for pre-trained weights; others go to the component.

    Raises
    ------
    EncoderError
        If the encoder cannot be found, is unsafe to load, or its weights do not fit its configuration.
    SettingsError
        If an option is unknown.
    """
    is_component = name in catalog.components["encoders"]
    built = None if is_component else read_origin(Path(name))
    if built is not None:
        encoder = load_encoder(built.component, catalog, dropout=dropout, options=built.options)
        load_weights(encoder, Path(name))
        return encoder
    reading = {option: value for option, value in (options or {}).items() if option in READING}
    own = {option: value for option, value in (options or {}).items() if option not in READING}
    source: Any = name
    if is_component:
        source = catalog.build("encoders", name, **own)
    elif own:
        raise SettingsError(f"unknown encoder option {min(own)!r}. {nearest(min(own), READING)}")
    if isinstance(source, nn.Module):
        return _network(source, Origin(name, own), dropout, reading)
    chosen = Reading(dropout=dropout, **reading)
    return read_encoder(_folder(str(source), name, catalog, chosen.revision), name, chosen)


def builds_network(name: str, catalog: Catalog) -> bool:
    """Say whether a name is a component that builds its network, rather than naming a model's files."""
    return name in catalog.components["encoders"] and isinstance(catalog.build("encoders", name), nn.Module)


def encoder_folder(name: str, catalog: Catalog, *, revision: str | None = None, weights: bool = True) -> Path:
    """Return the folder that an encoder's name stands for; raises EncoderError when it stands for a built network.

    Parameters
    ----------
    name, catalog
        As for :func:`load_encoder`.
    revision
        Of a hub model.
    weights
        Whether a hub model's weights are wanted, beside its configuration and vocabulary.
    """
    source = catalog.build("encoders", name) if name in catalog.components["encoders"] else name
    if isinstance(source, nn.Module):
        raise EncoderError(f"encoder {name!r} is built by its plugin and has no folder; give a folder or a hub id")
    return _folder(str(source), name, catalog, revision, FILES if weights else FILES[:-1])


def _network(encoder: nn.Module, origin: Origin, dropout: float | None, reading: Mapping[str, Any]) -> Encoder:
    """Take a component that is built, not read."""
    name = origin.component
    if not isinstance(encoder, Encoder):
        raise EncoderError(
            f"component {name!r} built a {type(encoder).__name__}: it must return a folder, a hub id or a "
            f"labtune.encoder.base.Encoder"
        )
    if reading:
        raise SettingsError(
            f"encoder option {min(reading)!r} is for pre-trained weights, but {name!r} has none to read"
        )
    for module in encoder.modules():
        if dropout is not None and isinstance(module, nn.Dropout):
            module.p = dropout
    encoder.origin = origin
    return encoder


def _folder(source: str, name: str, catalog: Catalog, revision: str | None, files: Sequence[str] = FILES) -> Path:
    """Return the local folder with the files, downloaded first if need be."""
    if Path(source).is_dir():
        return Path(source)
    try:
        with quiet():
            return Path(snapshot_download(source, revision=revision, allow_patterns=list(files), ignore_patterns="*/*"))
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise EncoderError(f"encoder {name!r} {_why_missing(error)}. {_nearest_encoder(name, catalog)}") from error


def _why_missing(error: Exception) -> str:
    if isinstance(error, HFValidationError):
        return "is no component and no folder"
    if isinstance(error, RepositoryNotFoundError):
        return "is no component, no folder and no public hub id"
    offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}
    why = "HF_HUB_OFFLINE is set" if offline else "the Hugging Face hub cannot be reached"
    return f"is no component, no folder and not in the local cache, and {why}"


def _nearest_encoder(name: str, catalog: Catalog) -> str:
    """Name the installed encoder that is most like a hub id or path."""
    known = sorted(catalog.components["encoders"])
    close = get_close_matches(Path(name).name.lower(), known, n=1, cutoff=0.5)
    return f"Did you mean {close[0]!r}?" if close else f"Installed encoders: {', '.join(known)}."
