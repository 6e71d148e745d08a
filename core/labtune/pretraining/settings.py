"""The settings of a pre-training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any

from labtune.errors import SettingsError
from labtune.fields import choice, number, switch, table, text, whole
from labtune.settings import Layer, read_setting, set_layer


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainSettings:
    """Everything that decides a pre-training, beside the data itself.

    Parameters
    ----------
    task
        Its reader and tokenizer turn files into tokens.
    encoder
        A plugin's name, a hub id or a local folder: where the training starts.
    weights
        ``trained``: go on with them; ``fresh``: take only the encoder's architecture and vocabulary and draw new ones.
    config
        Entries of the architecture's configuration to replace, such as ``hidden_size``; for fresh weights only.
    masking, mask_share
        ``bert``: single tokens; ``span``: runs of tokens; and the share of tokens that are predicted.
    pairs
        ``next``: read two segments at once and learn also whether the second goes on from the first, as BERT did; for
        encoders with segment embeddings.
    steps
        Optimiser steps.
    hours
        Train for so long instead: the schedule then follows the time that was trained, not the steps.
    step_tokens, batch_tokens
        Tokens of an optimiser step, and of one forward pass within it.
    crop, long_crop, long_share
        Tokens that are read of a record at once; in the last share of the training, the longer crop. Learned positions
        and distances need long crops, everything else is learned as well from short ones, which cost less.
    label_weight
        Of the mean loss of labels, where some files have them, beside that of hidden tokens.
    valid_share
        Share of the records, by a hash of their tokens, on which perplexity is measured.
    learning_rate
        Peak rate.
    weight_decay, clip, seed, precision, compile, dropout
        As in a fine-tuning.
    warmup, cooldown
        Steps in which the rate rises, and the share of the training at its end in which it falls to zero along a line.
        In between it stays (Hägele et al. 2024, arXiv:2405.18392), so that a training may be resumed with another
        length.
    checkpoint_every, valid_every
        Steps.
    storage
        Of the weights that are written at the end.
    reader, tokenizer
        Options of the task's parts.
    """

    task: str = text(MISSING)
    encoder: str = text(MISSING)
    weights: str = choice("trained", "fresh")
    config: Mapping[str, Any] = table()
    masking: str = choice("bert", "span")
    pairs: str = choice("none", "next")
    mask_share: float = number(0.15, below=1)
    steps: int = whole(10_000, low=1)
    hours: float = number(0.0)
    step_tokens: int = whole(8192, low=1)
    batch_tokens: int = whole(8192, low=1)
    crop: int = whole(128, low=8)
    long_crop: int = whole(512, low=8)
    long_share: float = number(0.1, below=1)
    label_weight: float = number(1.0)
    valid_share: float = number(0.01, below=1)
    learning_rate: float = number(1e-3)
    weight_decay: float = number(0.01)
    warmup: int = whole(200)
    cooldown: float = number(0.2, below=1)
    clip: float = number(1.0)
    dropout: float = number(0.0, below=1)
    seed: int = whole(0)
    precision: str = choice("auto", "float32", "bfloat16")
    compile: bool = switch()
    storage: str = choice("float32", "bfloat16")
    checkpoint_every: int = whole(200, low=1)
    valid_every: int = whole(500, low=1)
    reader: Mapping[str, Any] = table()
    tokenizer: Mapping[str, Any] = table()


FIELDS = {item.name: item for item in fields(PretrainSettings)}


def resolve_pretraining(flags: Mapping[str, Any], sets: Sequence[str] = ()) -> PretrainSettings:
    """Read settings as they are typed; the later win.

    Parameters
    ----------
    flags
        By name; None stands for not given.
    sets
        ``"key=value"`` or ``"table.option=value"``.

    Raises
    ------
    SettingsError
        If a key is unknown or a value not acceptable.
    """
    given = {key: value for key, value in flags.items() if value is not None}
    values: dict[str, Any] = {}
    for layer in [Layer("the arguments", given, typed=True), *map(set_layer, sets)]:
        for key in layer.values:
            value = read_setting(key, layer, FIELDS)
            values[key] = {**values.get(key, {}), **value} if isinstance(value, dict) else value
    settings = PretrainSettings(**values)
    if settings.config and settings.weights != "fresh":
        raise SettingsError("a configuration can only be changed for new weights: add --weights fresh")
    return settings
