"""From a folder that holds a Hugging Face model to an encoder, with safetensors only and no code but transformers'."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from torch import nn
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedConfig, PreTrainedModel

from labtune.encoder.attention import PACKED
from labtune.encoder.esm import fuse_gelu
from labtune.encoder.families import FAMILIES, Family
from labtune.encoder.hub import HubEncoder, quiet
from labtune.encoder.safety import check_folder
from labtune.errors import EncoderError

HIDDEN_DROPOUT = ("hidden_dropout_prob", "dropout", "hidden_dropout", "embedding_dropout", "mlp_dropout")
ATTENTION_DROPOUT = ("attention_probs_dropout_prob", "attention_dropout")
# What transformers raises on files that it cannot make sense of.
BROKEN = (SafetensorError, StrictDataclassError, OSError, ValueError, RuntimeError, KeyError, TypeError)
UNKNOWN = Family()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How pre-trained weights are read.

    Parameters
    ----------
    dropout
        Dropout of hidden states; the model's own rate when None. Attention probabilities are never dropped: fused
        kernels cannot, and results should not depend on the device.
    revision
        Branch, tag or commit of a hub model.
    gradient_checkpointing
        Compute each layer again in the backward pass instead of keeping what it computed: slower, and far less memory.
    packed
        Whether batches run without padding where the family allows it.
    new_characters
        Whether a vocabulary of texts grows by the characters that training data hold and it lacks; see
        :mod:`labtune.encoder.vocabulary`.
    word_shapes
        Whether the case of words goes in beside a vocabulary that ignores it; see :mod:`labtune.encoder.segments`.
    """

    dropout: float | None = None
    revision: str | None = None
    gradient_checkpointing: bool = False
    packed: bool = True
    new_characters: bool = True
    word_shapes: bool = True


def read_encoder(folder: Path, name: str, reading: Reading) -> HubEncoder:
    """Read model and tokenizer from a folder.

    Parameters
    ----------
    folder
        What ``save_pretrained`` wrote.
    name
        What the user called it, for messages.
    reading
        How.

    Raises
    ------
    EncoderError
        If the folder is unsafe, incomplete or damaged, or its weights do not fit its configuration.
    """
    check_folder(folder, name)
    with quiet():
        model = _read_model(folder, name, reading)
        encoder = HubEncoder(model, read_tokenizer(folder, name))
    if reading.gradient_checkpointing:
        recompute(model)
    return encoder


def blank_model(config: PreTrainedConfig, *, packed: bool = True) -> PreTrainedModel:
    """Make the network of a configuration with new weights, as :func:`read_encoder` does with those it reads."""
    family = FAMILIES.get(config.model_type)
    layout = {"attn_implementation": PACKED} if packed and family is not None else {}
    model = AutoModel.from_config(config, **layout)
    _finish(model, family or UNKNOWN)
    return model


def recompute(model: PreTrainedModel) -> None:
    """Switch gradient checkpointing on."""
    with warnings.catch_warnings():  # later versions of transformers give the method a second name
        warnings.simplefilter("ignore", FutureWarning)
        model.gradient_checkpointing_enable()


def _read_model(folder: Path, name: str, reading: Reading) -> PreTrainedModel:
    config = read_config(folder, name, reading.dropout)
    family = FAMILIES.get(config.model_type)
    layout = {"attn_implementation": PACKED} if reading.packed and family is not None else {}
    try:
        model, report = AutoModel.from_pretrained(
            folder,
            config=config,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # told below, with the name of the tensor
            **layout,
        )
    except BROKEN as error:
        raise EncoderError(f"encoder {name!r} cannot be read from {folder}: {_one_line(error)}") from error
    _check_weights(model, report, name, (family or UNKNOWN).unused)
    _finish(model, family or UNKNOWN)
    return model


def _finish(model: PreTrainedModel, family: Family) -> None:
    """Drop what hidden states do not depend on, and fuse what can be fused."""
    for module in family.unused:
        if hasattr(model, module):
            setattr(model, module, None)
    fuse_gelu(model)


def read_config(folder: Path, name: str, dropout: float | None) -> PreTrainedConfig:
    """Read a model's configuration, with the rates of dropout set; raises EncoderError."""
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
    except BROKEN as error:
        raise EncoderError(
            f"encoder {name!r} has a config.json that transformers cannot read: {_one_line(error)}"
        ) from error
    if config.is_encoder_decoder:
        raise EncoderError(
            f"encoder {name!r} is an encoder-decoder ({config.model_type}): choose an encoder-only model"
        )
    rates = dict.fromkeys(ATTENTION_DROPOUT, 0.0)
    if dropout is not None:
        rates |= dict.fromkeys(HIDDEN_DROPOUT, dropout)
    for key, rate in rates.items():
        if hasattr(config, key):
            setattr(config, key, rate)
    return config


def _check_weights(model: nn.Module, report: Mapping[str, Any], name: str, unused: tuple[str, ...]) -> None:
    """Refuse an encoder of which any needed parameter was left random."""
    parameters = {key for key, _ in model.named_parameters() if key.split(".")[0] not in unused}
    random = sorted(parameters & ({key for key, *_ in report["mismatched_keys"]} | set(report["missing_keys"])))
    if random:
        raise EncoderError(
            f"the weights of encoder {name!r} do not fit its config.json: {len(random)} of {len(parameters)} tensors "
            f"are missing or of another shape, such as {random[0]!r}; check that all files are of one model"
        )


def read_tokenizer(folder: Path, name: str) -> Any:
    """Read the tokenizer saved with the model; None when there is none."""
    if not any(path for pattern in ("*token*", "vocab*") for path in folder.glob(pattern)):
        return None
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (*BROKEN, AttributeError, ImportError) as error:
        raise EncoderError(
            f"the tokenizer of encoder {name!r} cannot be read from {folder}: {_one_line(error)}"
        ) from error
    # Long records are windowed later, so the warning that they exceed the model's length would mislead.
    tokenizer.deprecation_warnings["sequence-length-is-longer-than-the-specified-maximum"] = True
    return tokenizer


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
