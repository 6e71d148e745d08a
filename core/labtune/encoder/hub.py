"""A pre-trained Hugging Face model as an encoder of ragged batches."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from labtune.encoder.base import Encoder
from labtune.encoder.families import FAMILIES, Family
from labtune.encoder.packed import Packing
from labtune.ragged import Ragged

log = logging.getLogger(__name__)


class HubEncoder(Encoder):
    """Runs packed where the model's family allows it, else padded.

    Parameters
    ----------
    model
        The bare model, without a task head.
    tokenizer
        The tokenizer saved with it, or None.
    """

    def __init__(self, model: PreTrainedModel, tokenizer: Any) -> None:
        super().__init__()
        self.model = model
        self.tokenizer = tokenizer
        self.width = int(model.config.hidden_size)
        self.limit = _limit(model.config, tokenizer)
        if not self.packed:
            log.info("%s models run padded: labtune cannot pack them", self.family)

    @property
    def family(self) -> str:
        """The model's type, as transformers names it."""
        return str(self.model.config.model_type)

    @property
    def packed(self) -> bool:
        """Whether batches run without padding."""
        return self.family in FAMILIES

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """The transformer layers, first to last: the largest list of modules that the model holds."""
        lists = [module for module in self.model.modules() if isinstance(module, nn.ModuleList)]
        return max(lists, key=len, default=())

    @property
    def embeddings(self) -> nn.Module:
        """The embedding layer, positions and normalisation included."""
        return getattr(self.model, "embeddings", None) or self.model.get_input_embeddings()

    def forward(self, inputs: Mapping[str, Ragged]) -> Ragged:
        """Hidden states ``(N, C)`` under the boundaries of the inputs (``input_ids`` and what else the model takes)."""
        family = FAMILIES.get(self.family)
        return self._padded(inputs) if family is None else self._packed(inputs, family)

    def save(self, folder: Path) -> None:
        """Write the weights as safetensors, the configuration and the tokenizer."""
        self.model.save_pretrained(folder)
        if self.tokenizer is not None:
            self.tokenizer.save_pretrained(folder)

    def _packed(self, inputs: Mapping[str, Ragged], family: Family) -> Ragged:
        ids = inputs["input_ids"]
        packing = Packing.of(ids)
        tokens = ids.select(packing.order)
        starts = tokens.offsets[:-1].repeat_interleave(tokens.lengths)
        positions = torch.arange(len(tokens.values)) - starts + family.first_position(self.model.config)
        positions = positions.to(ids.values.device)
        others = {name: part.select(packing.order).values[None] for name, part in inputs.items() if name != "input_ids"}
        if family.embed is None:
            read: dict[str, Tensor] = {"input_ids": tokens.values[None], **others}
        else:
            read = family.embed(self.model, tokens, positions)
        hidden = self.model(**read, position_ids=positions[None], packing=packing).last_hidden_state[0]
        return tokens.with_values(hidden).select(packing.order.argsort())

    def _padded(self, inputs: Mapping[str, Ragged]) -> Ragged:
        ids = inputs["input_ids"]
        blocks = {name: part.padded()[0] for name, part in inputs.items()}
        blocks["input_ids"], mask = ids.padded(fill=self.model.config.pad_token_id or 0)
        return ids.unpadded(self.model(**blocks, attention_mask=mask.long()).last_hidden_state)


def _limit(config: Any, tokenizer: Any) -> int | None:
    """Longest input in tokens that the model was made for."""
    longest = getattr(config, "max_position_embeddings", None)
    family = FAMILIES.get(config.model_type)
    if longest is None:
        return None
    if family is not None:
        return int(longest) - family.reserved(config)
    return min(int(longest), getattr(tokenizer, "model_max_length", longest))
