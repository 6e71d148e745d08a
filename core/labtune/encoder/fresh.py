"""An encoder with the architecture and vocabulary of another, and new weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig

from labtune.catalog import Catalog
from labtune.encoder.base import Encoder
from labtune.encoder.hub import HubEncoder, quiet
from labtune.encoder.loading import builds_network, encoder_folder, load_encoder
from labtune.encoder.reading import blank_model, read_tokenizer
from labtune.encoder.safety import check_configs
from labtune.errors import EncoderError, SettingsError, nearest


def fresh_encoder(
    name: str, catalog: Catalog, *, config: Mapping[str, Any], seed: int, dropout: float | None = None
) -> Encoder:
    """Build an encoder with new weights; the global random state is left as it was.

    Parameters
    ----------
    name
        Whose architecture and vocabulary: a component that names a folder, a folder or a hub id, with or without
        weights. Or a component that builds a network, whose vocabulary may still have to be learned.
    catalog
        What is installed.
    config
        Entries of its configuration to replace; options of a component.
    seed
        Decides the weights.
    dropout
        Of the hidden states of a component's network.

    Raises
    ------
    EncoderError
        If there is no such encoder, or it has no vocabulary.
    SettingsError
        If the configuration has no such entry, or the architecture refuses a value.
    """
    if builds_network(name, catalog):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return load_encoder(name, catalog, dropout=dropout, options=config)
    folder = encoder_folder(name, catalog)
    check_configs(folder, name)
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _build(folder, config)
        encoder = HubEncoder(model, read_tokenizer(folder, name))
    if encoder.tokenizer is None:
        raise EncoderError(f"encoder {name!r} has no tokenizer in {folder}; choose one that brings its vocabulary")
    return encoder


def token_embeddings(encoder: Encoder) -> nn.Embedding:
    """Return the token embeddings of an encoder; raises EncoderError when it has none."""
    table = encoder.model.get_input_embeddings() if isinstance(encoder, HubEncoder) else encoder.embeddings
    if not isinstance(table, nn.Embedding):
        raise EncoderError(
            "pre-training needs an encoder of tokens; networks on features have no embeddings to predict"
        )
    return table


def _build(folder: Path, changes: Mapping[str, Any]) -> Any:
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    for key, value in changes.items():
        if not hasattr(config, key):
            raise SettingsError(f"the configuration has no entry {key!r}. {nearest(key, config.to_dict())}")
        try:
            setattr(config, key, value)
        except (TypeError, ValueError) as error:
            raise SettingsError(f"config.{key}={value!r} is not accepted: {str(error).splitlines()[0]}") from error
    try:
        return blank_model(config)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"this configuration makes no network: {str(error).splitlines()[0]}") from error
