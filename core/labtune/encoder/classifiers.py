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
from labtune.errors import EncoderError

# Families whose token classifier is one linear layer on every hidden state, or can be made so.
TOKEN_FAMILIES = ("bert", "camembert", "distilbert", "electra", "esm", "modernbert", "roberta", "xlm-roberta")
# Where a sequence classifier keeps the tanh layer on the first hidden state, and the output layer. In other families
# something else is between: a ReLU in DistilBERT, a GELU in ELECTRA, a norm in ModernBERT.
SEQUENCE_LAYERS = {
    "bert": ("bert.pooler.dense", "classifier"),
    "camembert": ("classifier.dense", "classifier.out_proj"),
    "esm": ("classifier.dense", "classifier.out_proj"),
    "roberta": ("classifier.dense", "classifier.out_proj"),
    "xlm-roberta": ("classifier.dense", "classifier.out_proj"),
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
    family = _family(encoder)
    if family not in TOKEN_FAMILIES:
        raise EncoderError(
            f"the token classifier of {family!r} models in transformers is not a linear layer: it cannot hold this head"
        )
    layers: dict[str, nn.Module] = {"classifier": output}
    changes: dict[str, Any] = {}
    if family == "modernbert":
        layers |= _transparent_head(encoder)
        changes = {"classifier_activation": "linear", "classifier_bias": True}
    _write(encoder, AutoModelForTokenClassification, layers, outputs, folder, changes)


def write_sequence_classifier(
    encoder: Encoder, hidden: nn.Linear, output: nn.Linear, outputs: Outputs, folder: Path
) -> None:
    """Write a folder that ``AutoModelForSequenceClassification`` reads.

    Parameters
    ----------
    encoder
        With plain weights.
    hidden, output
        The head's tanh layer on the first hidden state, and the layer after it.
    outputs
        What is predicted.
    folder
        To write to.

    Raises
    ------
    EncoderError
        If the family's sequence classifier computes something else.
    """
    family = _family(encoder)
    if family not in SEQUENCE_LAYERS:
        raise EncoderError(
            f"the sequence classifier of {family!r} models in transformers has other layers than this head"
        )
    layers: dict[str, nn.Module] = dict(zip(SEQUENCE_LAYERS[family], (hidden, output), strict=True))
    _write(encoder, AutoModelForSequenceClassification, layers, outputs, folder)


def _family(encoder: Encoder) -> str:
    if not isinstance(encoder, HubEncoder):
        raise EncoderError(f"a {type(encoder).__name__} is no transformers model: there is no plain form of it")
    return encoder.family


@torch.no_grad()
def _transparent_head(encoder: Any) -> dict[str, nn.Module]:
    """ModernBERT's layer and norm before the classifier, such that they hand every hidden state through.

    The layer takes the gains of the encoder's last norm off again. What is left has mean 0 and variance 1, so that the
    norm changes nothing (but for its epsilon) and puts the gains back.
    """
    norm = encoder.model.final_norm
    if bool((norm.weight == 0).any()):
        raise EncoderError("a gain of the encoder's last norm is 0: transformers' classifier cannot hold this head")
    layer = nn.Linear(len(norm.weight), len(norm.weight))
    layer.weight.copy_(torch.diag(1 / norm.weight))
    layer.bias.copy_(torch.zeros_like(norm.weight) if norm.bias is None else -norm.bias / norm.weight)
    return {"head.dense": layer, "head.norm": norm}


def _write(
    encoder: Any,
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
