"""An encoder and a linear head as one of transformers' own classifiers, where one computes exactly the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification

from labtune.encoder.base import Encoder
from labtune.encoder.families import FAMILIES
from labtune.encoder.hub import HubEncoder, quiet
from labtune.encoder.passing import through_norm, through_rectifier
from labtune.errors import EncoderError

MODERN = "modernbert"
TRANSPARENT: Mapping[str, Any] = MappingProxyType({"classifier_activation": "linear", "classifier_bias": True})
# Families whose token classifier is one linear layer on every hidden state, or can be made so.
TOKEN_FAMILIES = ("bert", "camembert", "distilbert", "electra", "esm", "modernbert", "roberta", "xlm-roberta")
# Where a sequence classifier keeps its two layers on the first hidden state. Between them is a tanh, as in our head …
TANH_LAYERS = {
    "bert": ("bert.pooler.dense", "classifier"),
    "camembert": ("classifier.dense", "classifier.out_proj"),
    "esm": ("classifier.dense", "classifier.out_proj"),
    "roberta": ("classifier.dense", "classifier.out_proj"),
    "xlm-roberta": ("classifier.dense", "classifier.out_proj"),
}
# … or a ReLU or GELU, which a head of one layer can be led through.
RECTIFIED_LAYERS = {
    "distilbert": ("pre_classifier", "classifier"),
    "electra": ("classifier.dense", "classifier.out_proj"),
}


@dataclass(frozen=True)
class Outputs:
    """What a classifier predicts.

    Parameters
    ----------
    names
        Of the outputs, in order.
    problem
        ``single_label_classification``, ``multi_label_classification`` or ``regression``, as transformers calls them.
    """

    names: Sequence[str]
    problem: str = "single_label_classification"


def write_token_classifier(encoder: Encoder, output: nn.Linear, outputs: Outputs, folder: Path) -> None:
    """Write a folder that ``AutoModelForTokenClassification`` reads.

    Raises
    ------
    EncoderError
        If the family's token classifier computes something else.
    """
    source = _hub(encoder)
    family = source.family
    if family not in TOKEN_FAMILIES:
        raise EncoderError(
            f"the token classifier of {family!r} models in transformers is not a linear layer: it cannot hold this head"
        )
    layers: dict[str, nn.Module] = {"classifier": output}
    changes: dict[str, Any] = {}
    if family == MODERN:
        layers |= through_norm(source.model.final_norm)
        changes = dict(TRANSPARENT)
    _write(source, AutoModelForTokenClassification, layers, outputs, folder, changes)


def has_tanh_layer(encoder: Encoder) -> bool:
    """Whether the family's sequence classifier puts a tanh layer before the output; if not, it can be one layer.

    Raises
    ------
    EncoderError
        If there is no sequence classifier that can hold either.
    """
    family = _hub(encoder).family
    if family in TANH_LAYERS:
        return True
    if family in RECTIFIED_LAYERS or family == MODERN:
        return False
    raise EncoderError(f"the sequence classifier of {family!r} models in transformers has other layers than this head")


def write_sequence_classifier(
    encoder: Encoder, hidden: nn.Linear | None, output: nn.Linear, outputs: Outputs, folder: Path
) -> None:
    """Write a folder that ``AutoModelForSequenceClassification`` reads.

    Parameters
    ----------
    encoder
        With plain weights.
    hidden
        The head's tanh layer on the first hidden state, if :func:`has_tanh_layer`.
    output
        The layer after it, or on the first hidden state.
    outputs
        What is predicted.
    folder
        To write to.

    Raises
    ------
    EncoderError
        If the family's sequence classifier computes something else.
    """
    source = _hub(encoder)
    family = source.family
    layers: dict[str, nn.Module]
    changes: dict[str, Any] = {}
    if has_tanh_layer(encoder):
        assert hidden is not None
        layers = dict(zip(TANH_LAYERS[family], (hidden, output), strict=True))
    elif family == MODERN:
        layers = {"classifier": output, **through_norm(source.model.final_norm)}
        changes = {**TRANSPARENT, "classifier_pooling": "cls"}
    else:
        layers = dict(zip(RECTIFIED_LAYERS[family], through_rectifier(output), strict=True))
    _write(source, AutoModelForSequenceClassification, layers, outputs, folder, changes)


def _hub(encoder: Encoder) -> HubEncoder:
    if not isinstance(encoder, HubEncoder):
        raise EncoderError(f"a {type(encoder).__name__} is no transformers model: there is no plain form of it")
    return encoder


def _write(
    encoder: HubEncoder,
    kind: Any,
    layers: Mapping[str, nn.Module],
    outputs: Outputs,
    folder: Path,
    changes: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    config = encoder.model.config
    described = config.to_dict() | {
        **changes,
        "id2label": dict(enumerate(outputs.names)),
        "label2id": {name: number for number, name in enumerate(outputs.names)},
        "problem_type": outputs.problem,
    }
    classifier = kind.from_config(type(config).from_dict(described))
    _fill(classifier.base_model, encoder.model, encoder.family)
    for name, layer in layers.items():
        classifier.get_submodule(name).load_state_dict(layer.state_dict())
    with quiet():
        classifier.save_pretrained(folder)
        if encoder.tokenizer is not None:
            encoder.tokenizer.save_pretrained(folder)


@torch.no_grad()
def _fill(target: nn.Module, source: nn.Module, family: str) -> None:
    """Copy the encoder; what hidden states do not depend on, such as ESM's contact head, becomes zero."""
    missing, unexpected = target.load_state_dict(source.state_dict(), strict=False)
    needed = [name for name in missing if name.split(".")[0] not in FAMILIES[family].unused]
    if needed or unexpected:
        raise EncoderError(f"the encoder's weights do not fit transformers' classifier: {[*needed, *unexpected][0]!r}")
    for name in missing:
        target.get_parameter(name).zero_()
