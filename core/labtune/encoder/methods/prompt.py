"""Prompt tuning: learned virtual tokens before every record of a frozen encoder (Lester et al. 2021).

Virtual tokens are ids beyond the vocabulary. They are put before each record's ids, looked up in a table of their own,
and their hidden states are taken off again; the encoder in between sees longer records, packed or padded, and counts
positions from the first virtual token, as peft does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from labtune.encoder.base import Encoder
from labtune.encoder.extras import require
from labtune.encoder.hub import HubEncoder
from labtune.encoder.methods.base import Method, check, is_whole_number, read_tensors, write_tensors
from labtune.encoder.methods.peft_methods import ADAPTER_FILE, FEATURES, write_config
from labtune.errors import SettingsError
from labtune.ragged import Ragged, offsets_of


class PromptedEmbedding(nn.Module):
    """A vocabulary and, for ids beyond it, virtual tokens; these start as random words of the vocabulary.

    Parameters
    ----------
    words
        The encoder's embedding of tokens.
    count
        P, virtual tokens.
    """

    def __init__(self, words: nn.Embedding, count: int) -> None:
        super().__init__()
        self.words = words
        chosen = torch.randint(words.num_embeddings, (count,))
        self.prompt = nn.Parameter(words.weight.detach()[chosen].float())  # (P, C)

    def forward(self, ids: Tensor) -> Tensor:
        """Look up ids ``(...)``: ``(..., C)``."""
        number = ids - self.words.num_embeddings
        virtual = number >= 0
        looked_up: Tensor = self.words(ids.masked_fill(virtual, 0))
        learned = self.prompt[number.clamp(min=0)].to(looked_up.dtype)
        return torch.where(virtual[..., None], learned, looked_up)


@dataclass(frozen=True)
class Prompt(Method):
    """Virtual tokens before every record.

    Parameters
    ----------
    tokens
        How many. They count against the longest input that the encoder takes.
    """

    name = "prompt"
    tokens: int = 20

    def __post_init__(self) -> None:
        check(is_whole_number(self.tokens), "tokens", "a whole number, 1 or more", self.tokens)

    def extend(self, encoder: Encoder) -> None:
        """Widen the vocabulary, and put the virtual tokens before every record on its way in.

        Raises
        ------
        SettingsError
            If the encoder is no transformers model, or too short.
        """
        if not isinstance(encoder, HubEncoder):
            raise SettingsError("method 'prompt' works on transformers models only: choose method 'full' or 'head'")
        if encoder.limit is not None:
            check(
                self.tokens < encoder.limit // 2,
                "tokens",
                f"below half the encoder's limit of {encoder.limit}",
                self.tokens,
            )
            encoder.limit -= self.tokens
        words: Any = encoder.model.get_input_embeddings()
        table = PromptedEmbedding(words, self.tokens)
        encoder.model.set_input_embeddings(table)
        virtual = torch.arange(self.tokens) + words.num_embeddings
        encoder.register_forward_pre_hook(lambda _, args: (_with_prompt(args[0], virtual),))
        encoder.register_forward_hook(lambda _, args, hidden: _without_prompt(hidden, self.tokens))

    def save(self, encoder: Encoder, folder: Path, base: str) -> None:
        """Write a folder that ``peft.PeftModel.from_pretrained`` opens on the base model."""
        peft = require("peft", "peft", "method 'prompt'")
        table = _table(encoder)
        write_tensors({"prompt_embeddings": table.prompt}, folder / ADAPTER_FILE)
        config = peft.PromptTuningConfig(
            task_type=FEATURES,
            num_virtual_tokens=self.tokens,
            token_dim=table.prompt.shape[1],
            num_transformer_submodules=1,
            num_attention_heads=1,  # peft wants the two, and uses them for other methods only
            num_layers=len(encoder.blocks),
        )
        write_config(config, folder, base)

    def load(self, encoder: Encoder, folder: Path) -> None:
        """Read the virtual tokens back."""
        read_tensors({"prompt_embeddings": _table(encoder).prompt}, folder / ADAPTER_FILE)

    def merge(self, encoder: Encoder) -> None:
        """Raise SettingsError: a plain model has no place for virtual tokens."""
        raise SettingsError("virtual tokens cannot be merged into a plain model: export with --format peft")


def _table(encoder: Encoder) -> PromptedEmbedding:
    return next(module for module in encoder.modules() if isinstance(module, PromptedEmbedding))


def _with_prompt(inputs: Mapping[str, Ragged], virtual: Tensor) -> dict[str, Ragged]:
    """Put the virtual tokens before every record; other inputs get zeros there."""
    return {
        name: _prepend(part, virtual if name == "input_ids" else torch.zeros_like(virtual))
        for name, part in inputs.items()
    }


def _prepend(part: Ragged, values: Tensor) -> Ragged:
    """Put the same values ``(P,)`` before every record."""
    longer = offsets_of(part.lengths + len(values))
    first, rest = _places(longer, len(values), part.values.device)
    joined = part.values.new_empty(int(longer[-1]))
    joined[first] = values.to(part.values).repeat(len(part))
    joined[rest] = part.values
    return Ragged(joined, longer)


def _without_prompt(hidden: Ragged, count: int) -> Ragged:
    """Take the virtual tokens' hidden states off again."""
    _, rest = _places(hidden.offsets, count, hidden.values.device)
    return Ragged(hidden.values[rest], offsets_of(hidden.lengths - count))


def _places(offsets: Tensor, count: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Rows of the first ``count`` tokens of each record, and rows of the others."""
    first = (offsets[:-1, None] + torch.arange(count)).flatten()
    others = torch.ones(int(offsets[-1]), dtype=torch.bool)
    others[first] = False
    return first.to(device), others.nonzero()[:, 0].to(device)
