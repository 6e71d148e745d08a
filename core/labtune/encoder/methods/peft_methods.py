"""LoRA, DoRA and (IA)³ through peft, on every linear layer of the encoder's blocks and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from labtune.encoder.base import Encoder
from labtune.encoder.bits import keep_last_weight
from labtune.encoder.extras import require
from labtune.encoder.methods.base import Method, check, is_number, is_whole_number, read_file, write_tensors
from labtune.encoder.structure import block_linears, block_names, last_of_mlp, network
from labtune.errors import RunError

ADAPTER_FILE = "adapter_model.safetensors"
PREFIX = "base_model.model."  # how peft names the network in its files
FEATURES = "FEATURE_EXTRACTION"  # peft's word for a model without a head


class PeftMethod(Method):
    """Adds peft's layers to the network, and saves them in peft's format."""

    def config(self, encoder: Encoder) -> Any:
        """Describe the adapter for peft."""
        raise NotImplementedError

    def extend(self, encoder: Encoder) -> None:
        """Put peft's layers around the linear layers of the blocks."""
        peft = require("peft", "peft", f"method {self.name!r}")
        with keep_last_weight():
            peft.inject_adapter_in_model(self.config(encoder), network(encoder))

    def save(self, encoder: Encoder, folder: Path, base: str) -> None:
        """Write a folder that ``peft.PeftModel.from_pretrained`` opens on the base model."""
        peft = require("peft", "peft", f"method {self.name!r}")
        model: Any = network(encoder)
        state: dict[str, Tensor] = peft.get_peft_model_state_dict(model, save_embedding_layers=False)
        write_tensors({PREFIX + name: tensor for name, tensor in state.items()}, folder / ADAPTER_FILE)
        write_config(model.peft_config["default"], folder, base)

    def load(self, encoder: Encoder, folder: Path) -> None:
        """Read the adapter back."""
        peft = require("peft", "peft", f"method {self.name!r}")
        model: Any = network(encoder)
        path = folder / ADAPTER_FILE
        found = {name.removeprefix(PREFIX): tensor for name, tensor in read_file(path).items()}
        wanted = peft.get_peft_model_state_dict(model, save_embedding_layers=False)
        if {name: tensor.shape for name, tensor in found.items()} != {name: t.shape for name, t in wanted.items()}:
            raise RunError(f"{path} holds other weights than this method trains; the run folder is damaged")
        peft.set_peft_model_state_dict(model, found)

    def merge(self, encoder: Encoder) -> None:
        """Multiply the adapters into the weights, and take peft's layers out again."""
        tuners = require("peft.tuners.tuners_utils", "peft", f"method {self.name!r}")
        model: Any = network(encoder)
        for name, module in list(model.named_modules()):
            if isinstance(module, tuners.BaseTunerLayer):
                layer: Any = module
                layer.merge()
                model.set_submodule(name, layer.get_base_layer())
        del model.peft_config


@dataclass(frozen=True)
class Lora(PeftMethod):
    """Low-rank updates of the weights (LoRA, Hu et al. 2022).

    Parameters
    ----------
    rank
        Of the update.
    alpha
        The update is multiplied by alpha over rank.
    dropout
        On the input of the update.
    """

    name = "lora"
    rank: int = 8
    alpha: float = 16.0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check(is_whole_number(self.rank), "rank", "a whole number, 1 or more", self.rank)
        check(is_number(self.alpha) and self.alpha > 0, "alpha", "a number above 0", self.alpha)
        check(is_number(self.dropout) and self.dropout < 1, "dropout", "a number, 0 or more and below 1", self.dropout)

    def config(self, encoder: Encoder) -> Any:
        """Describe the adapter for peft."""
        peft = require("peft", "peft", f"method {self.name!r}")
        return peft.LoraConfig(
            task_type=FEATURES,
            r=self.rank,
            lora_alpha=self.alpha,
            lora_dropout=self.dropout,
            use_dora=self.name == "dora",
            target_modules=linear_pattern(encoder),
        )


@dataclass(frozen=True)
class Dora(Lora):
    """LoRA on the direction of the weights, with their magnitude learned apart (DoRA, Liu et al. 2024)."""

    name = "dora"

    def config(self, encoder: Encoder) -> Any:
        """Describe the adapter for peft, with a layer that costs less than peft's."""
        config = super().config(encoder)
        from labtune.encoder.methods.dora_layer import DoraLinear  # needs peft, which was found by now

        config._register_custom_module({nn.Linear: DoraLinear})
        return config


@dataclass(frozen=True)
class Ia3(PeftMethod):
    """Learned factors on the outputs of linear layers, on the input of the last feed-forward one (Liu et al. 2022)."""

    name = "ia3"

    def config(self, encoder: Encoder) -> Any:
        """Describe the adapter for peft."""
        peft = require("peft", "peft", "method 'ia3'")
        return peft.IA3Config(
            task_type=FEATURES,
            target_modules=linear_pattern(encoder),
            feedforward_modules=linear_pattern(encoder, last=True),
        )


def linear_pattern(encoder: Encoder, *, last: bool = False) -> str:
    """Return a regular expression for the names of the blocks' linear layers, or of each block's last one.

    peft shortens lists of names to endings, which elsewhere may fit a pooler too; a pattern stays what it is.
    """
    blocks = block_names(encoder, "this method")
    inner = {
        name.removeprefix(f"{block}.")
        for block, linears in zip(blocks, block_linears(encoder, "this method"), strict=True)
        for name in ([last_of_mlp(linears)] if last else linears)
    }
    return rf"(?:{_any_of(blocks)})\.(?:{_any_of(sorted(inner))})"


def write_config(config: Any, folder: Path, base: str) -> None:
    """Write peft's description of an adapter, naming the base model."""
    described = copy(config)
    described.base_model_name_or_path = base
    described.inference_mode = True
    described.save_pretrained(folder)


def _any_of(names: Iterable[str]) -> str:
    return "|".join(map(re.escape, names))
