"""Encoders without their pre-trained weights, made ready to learn: for finding out what a training will cost."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from transformers import PreTrainedConfig

from labtune.catalog import Catalog
from labtune.encoder.base import Encoder
from labtune.encoder.bits import STORED, store
from labtune.encoder.hub import HubEncoder, quiet
from labtune.encoder.loading import READING, encoder_folder, load_encoder
from labtune.encoder.methods import method_of
from labtune.encoder.reading import Reading, blank_model, read_config, read_tokenizer, recompute
from labtune.encoder.safety import check_configs
from labtune.settings import Settings


def outline_encoder(
    settings: Settings, catalog: Catalog, *, mode: FakeTensorMode | None = None, blocks: int | None = None
) -> Encoder:
    """Make the encoder of a training, its method and bits included, without reading weights.

    Parameters
    ----------
    settings
        Of the training. A folder needs a configuration and a vocabulary, but no weights.
    catalog
        What is installed.
    mode
        Its tensors get no memory: they belong to this mode. None: they are real, with new values.
    blocks
        Make it only so many blocks deep. A network that a component builds is always whole.

    Raises
    ------
    EncoderError
        If the encoder cannot be found, or its configuration cannot be read.
    SettingsError
        If method, bits or options do not go with it.
    """
    if settings.bits < 16:
        _warm_up(settings.bits)
    encoder = _base(settings, catalog, mode, blocks)
    method = method_of(settings)
    with mode or nullcontext():
        method.freeze(encoder)
        store(encoder, settings.bits)
    method.extend(encoder)  # peft cannot move fake tensors
    return encoder if mode is None else _faked(encoder, mode)


def _base(settings: Settings, catalog: Catalog, mode: FakeTensorMode | None, blocks: int | None) -> Encoder:
    options = settings.encoder_options
    name, component = settings.encoder, catalog.components["encoders"].get(settings.encoder)
    source = catalog.build("encoders", name, **_own(options)) if component else None
    if isinstance(source, nn.Module):
        encoder = load_encoder(name, catalog, dropout=settings.dropout, options=options)
        return encoder if mode is None else _faked(encoder, mode)  # before weights are stored in few bits
    reading = Reading(dropout=settings.dropout, **{key: options[key] for key in options if key in READING})
    folder = encoder_folder(name, catalog, revision=reading.revision, weights=False)
    check_configs(folder, name)
    with quiet(), torch.random.fork_rng(devices=[]):
        tokenizer = read_tokenizer(folder, name)
        config = _shortened(read_config(folder, name, reading.dropout), blocks)
        with mode or nullcontext():
            model = blank_model(config, packed=reading.packed)
            encoder = HubEncoder(model, tokenizer)
    if reading.gradient_checkpointing:
        recompute(model)
    return encoder


def _own(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a component itself."""
    return {key: value for key, value in options.items() if key not in READING}


def _shortened(config: PreTrainedConfig, blocks: int | None) -> PreTrainedConfig:
    """Take away blocks; some configurations list a kind for each."""
    before = config.num_hidden_layers
    if blocks is None or blocks >= before:
        return config
    lists = {
        key: value[:blocks] for key, value in vars(config).items() if isinstance(value, list) and len(value) == before
    }
    for key, value in {"num_hidden_layers": blocks, **lists}.items():
        setattr(config, key, value)
    return config


def _faked(encoder: Encoder, mode: FakeTensorMode) -> Encoder:
    """Put fake tensors in the place of real ones."""
    for module in encoder.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            if not isinstance(parameter, FakeTensor):
                module.register_parameter(
                    name, nn.Parameter(mode.from_tensor(parameter.detach()), parameter.requires_grad)
                )
        for name, buffer in list(module.named_buffers(recurse=False)):
            if not isinstance(buffer, FakeTensor):
                setattr(module, name, mode.from_tensor(buffer))
    return encoder


def _warm_up(bits: int) -> None:
    """Have bitsandbytes make its tables now: what it makes from fake tensors it would keep for real ones."""
    layer = STORED[bits](nn.Linear(64, 64))
    layer(torch.zeros(1, 64))
