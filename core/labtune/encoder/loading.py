"""From an encoder's name to the encoder: a plugin's component, a local folder or a hub id, read with safetensors only."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, RepositoryNotFoundError
from safetensors import SafetensorError
from torch import nn
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedConfig, PreTrainedModel
from transformers.utils import logging as chatter

from labtune.catalog import Catalog
from labtune.encoder.base import Encoder
from labtune.encoder.families import FAMILIES, Family
from labtune.encoder.hub import HubEncoder
from labtune.encoder.packed import PACKED
from labtune.encoder.safety import check_folder
from labtune.errors import EncoderError, SettingsError, nearest

log = logging.getLogger(__name__)

HIDDEN_DROPOUT = ("hidden_dropout_prob", "dropout", "hidden_dropout", "embedding_dropout", "mlp_dropout")
ATTENTION_DROPOUT = ("attention_probs_dropout_prob", "attention_dropout")
HUB_OPTIONS = ("revision", "gradient_checkpointing")


def load_encoder(
    name: str, catalog: Catalog, *, dropout: float | None = None, options: Mapping[str, Any] | None = None
) -> Encoder:
    """Build the encoder that a name stands for.

    Parameters
    ----------
    name
        A component of the catalog, else an existing folder, else a hub id.
    catalog
        What is installed.
    dropout
        Dropout of hidden states; the model's own rate when None. Attention probabilities are never dropped: fused
        kernels cannot, and a run should not depend on its device.
    options
        Of a component, its own. Of a hub model or folder, ``revision`` and ``gradient_checkpointing`` (recompute each
        layer in the backward pass: slower, and far less memory).

    Raises
    ------
    EncoderError
        If the encoder cannot be found, is unsafe to load, or its weights do not fit its configuration.
    SettingsError
        If an option is unknown.
    """
    chosen = dict(options or {})
    source: Any = name
    if name in catalog.components["encoders"]:
        source = catalog.build("encoders", name, **chosen)
        chosen = {}
    if isinstance(source, nn.Module):
        return _ready(source, name, dropout)
    for option in chosen:
        if option not in HUB_OPTIONS:
            raise SettingsError(f"unknown encoder option {option!r} of {name!r}. {nearest(option, HUB_OPTIONS)}")
    folder = _folder(str(source), name, catalog, chosen.get("revision"))
    check_folder(folder, name)
    with _quiet():
        encoder = HubEncoder(_read_model(folder, name, dropout), _read_tokenizer(folder, name))
    if chosen.get("gradient_checkpointing"):
        encoder.model.gradient_checkpointing_enable()
    return encoder


def _ready(encoder: nn.Module, name: str, dropout: float | None) -> Encoder:
    if not isinstance(encoder, Encoder):
        raise EncoderError(
            f"component {name!r} built a {type(encoder).__name__}: return a folder, a hub id or a labtune Encoder"
        )
    for module in encoder.modules() if dropout is not None else ():
        if isinstance(module, nn.Dropout):
            module.p = dropout
    return encoder


def _folder(source: str, name: str, catalog: Catalog, revision: str | None) -> Path:
    """The local folder with the files, downloaded first if need be."""
    if Path(source).is_dir():
        return Path(source)
    try:
        with _quiet():
            files = snapshot_download(
                source,
                revision=revision,
                allow_patterns=["*.json", "*.txt", "*.model", "*.safetensors"],
                ignore_patterns=["*/*"],
            )
    except RepositoryNotFoundError as error:
        raise EncoderError(
            f"encoder {name!r} is no component, folder or public hub id. {_similar(name, catalog)}"
        ) from error
    except HFValidationError as error:
        raise EncoderError(f"encoder {name!r} is no component and no folder. {_similar(name, catalog)}") from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}
        why = "HF_HUB_OFFLINE is set" if offline else "the Hugging Face hub cannot be reached"
        raise EncoderError(
            f"encoder {name!r} is no component, no folder and not in the cache, and {why}. {_similar(name, catalog)}"
        ) from error
    return Path(files)


def _similar(name: str, catalog: Catalog) -> str:
    known = sorted(catalog.components["encoders"])
    close = get_close_matches(name.rsplit("/", 1)[-1].lower(), known, n=1, cutoff=0.3)
    return f"Did you mean {close[0]!r}?" if close else nearest(name, known)


def _read_model(folder: Path, name: str, dropout: float | None) -> PreTrainedModel:
    config = _read_config(folder, name, dropout)
    family = FAMILIES.get(config.model_type)
    packing = {} if family is None else {"attn_implementation": PACKED}
    try:
        model, report = AutoModel.from_pretrained(
            folder,
            config=config,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
            **packing,
        )
    except (SafetensorError, OSError, ValueError, RuntimeError, KeyError) as error:
        raise EncoderError(f"encoder {name!r} cannot be read from {folder}: {_one_line(error)}") from error
    drop = _unused(family)
    _check_weights(model, report, name, drop)
    for module in drop:
        if hasattr(model, module):
            setattr(model, module, None)
    return model


def _read_config(folder: Path, name: str, dropout: float | None) -> PreTrainedConfig:
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise EncoderError(
            f"encoder {name!r} has a config.json that transformers cannot read: {_one_line(error)}"
        ) from error
    if config.is_encoder_decoder:
        raise EncoderError(
            f"encoder {name!r} is an encoder-decoder ({config.model_type}): choose an encoder-only model"
        )
    for key in HIDDEN_DROPOUT if dropout is not None else ():
        if hasattr(config, key):
            setattr(config, key, dropout)
    for key in ATTENTION_DROPOUT:
        if hasattr(config, key):
            setattr(config, key, 0.0)
    return config


def _unused(family: Family | None) -> tuple[str, ...]:
    return ("pooler",) if family is None else family.unused


def _check_weights(model: nn.Module, report: Mapping[str, Any], name: str, dropped: tuple[str, ...]) -> None:
    """Refuse an encoder of which any needed parameter was left random."""
    parameters = {key for key, _ in model.named_parameters()}
    mismatched = {key for key, *_ in report["mismatched_keys"]}
    random = sorted((set(report["missing_keys"]) | mismatched) & parameters)
    random = [key for key in random if key.split(".")[0] not in dropped]
    if random:
        raise EncoderError(
            f"the weights of encoder {name!r} do not fit its config.json: {len(random)} of {len(parameters)} tensors "
            f"are missing or of another shape, such as {random[0]!r}; it would start from random numbers"
        )


def _read_tokenizer(folder: Path, name: str) -> Any:
    """The tokenizer saved with the model; None when there is none."""
    if not any(folder.glob("*token*")) and not any(folder.glob("vocab*")):
        return None
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EncoderError(
            f"the tokenizer of encoder {name!r} cannot be read from {folder}: {_one_line(error)}"
        ) from error
    # Long records are windowed, so the warning that they exceed the model's length would mislead.
    tokenizer.deprecation_warnings["sequence-length-is-longer-than-the-specified-maximum"] = True
    return tokenizer


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers' load reports and progress bars off the terminal; what matters is raised instead."""
    before, bars = chatter.get_verbosity(), chatter.is_progress_bar_enabled()
    chatter.set_verbosity_error()
    chatter.disable_progress_bar()
    try:
        yield
    finally:
        chatter.set_verbosity(before)
        if bars:
            chatter.enable_progress_bar()
