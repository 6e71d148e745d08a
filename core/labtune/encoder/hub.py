"""A pre-trained Hugging Face model as an encoder of ragged batches."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.utils import logging as chatter

from labtune.encoder.attention import PACKED
from labtune.encoder.base import Attention, Encoder
from labtune.encoder.fading import fading, without_fade
from labtune.encoder.families import FAMILIES, Family
from labtune.encoder.packing import Packing
from labtune.ragged import Ragged

log = logging.getLogger(__name__)


class HubEncoder(Encoder):
    """Runs packed when the model was read with packed attention, else padded.

    Parameters
    ----------
    model
        The bare model, without a task head.
    tokenizer
        The tokenizer saved with it, or None.

    Attributes
    ----------
    blank
        Ids whose average embedding stands for no token.
    """

    fades = True

    def __init__(self, model: PreTrainedModel, tokenizer: Any) -> None:
        super().__init__()
        self.blank = _blank(tokenizer)
        self.model = model
        self.tokenizer = tokenizer
        self.width = int(model.config.hidden_size)
        self.limit = _limit(model.config, tokenizer)
        if not self.packed:
            log.info("this %s encoder runs padded", self.family)

    @property
    def family(self) -> str:
        """The model's type, as transformers names it."""
        return str(self.model.config.model_type)

    @property
    def packed(self) -> bool:
        """Whether batches run without padding."""
        return str(self.model.config._attn_implementation) == PACKED

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """The transformer layers, first to last: the longest list of modules in the model."""
        lists = [list(module) for module in self.model.modules() if isinstance(module, nn.ModuleList)]
        return max(lists, key=len, default=[])

    @property
    def embeddings(self) -> nn.Module:
        """The embedding layer, positions and normalisation included."""
        layer: nn.Module = getattr(self.model, "embeddings", None) or self.model.get_input_embeddings()
        return layer

    def share_attention(self, layers: int) -> Attention | None:
        """Share it when batches run packed; layers that are computed again in the backward pass keep none of it."""
        recomputed = any(getattr(block, "gradient_checkpointing", False) for block in self.blocks)
        if not self.packed or recomputed:
            log.info("this %s encoder does not show its attention", self.family)
        else:
            self.attention = Attention(min(layers, len(self.blocks)), int(self.model.config.num_attention_heads))
        return self.attention

    def forward(self, inputs: Mapping[str, Ragged]) -> Ragged:
        """Compute hidden states ``(N, C)``.

        Parameters
        ----------
        inputs
            ``input_ids (N,)`` and what else the model takes, such as ``token_type_ids (N,)``.
        """
        return self._packed(inputs, FAMILIES[self.family]) if self.packed else self._padded(inputs)

    def save(self, folder: Path) -> None:
        """Write the weights as safetensors, the configuration and the tokenizer."""
        with quiet():
            self.model.save_pretrained(folder)
            if self.tokenizer is not None:
                self.tokenizer.save_pretrained(folder)

    def _packed(self, inputs: Mapping[str, Ragged], family: Family) -> Ragged:
        inputs, fade = without_fade(inputs)
        packing = Packing.of(inputs["input_ids"], keep=self.attention is not None)
        positions = packing.positions(family.first_position(self.model.config))
        gone = None if fade is None else fade.select(packing.order).values
        with fading(self.model.get_input_embeddings(), gone, self.blank):
            if family.embed is None:
                read = {name: part.select(packing.order).values[None] for name, part in inputs.items()}
            else:
                read = {"inputs_embeds": family.embed(self.model, packing.tokens, positions)[None]}
            hidden = self.model(**read, position_ids=positions[None], packing=packing).last_hidden_state[0]
        if self.attention is not None and packing.kept is not None:
            hidden = torch.cat([hidden, *packing.kept[-self.attention.layers :]], 1)
        return inputs["input_ids"].with_values(packing.undo(hidden))

    def _padded(self, inputs: Mapping[str, Ragged]) -> Ragged:
        inputs, fade = without_fade(inputs)
        ids = inputs["input_ids"]
        blocks = {name: part.padded()[0] for name, part in inputs.items()}
        blocks["input_ids"], mask = ids.padded(fill=self.model.config.pad_token_id or 0)
        with fading(self.model.get_input_embeddings(), None if fade is None else fade.padded()[0], self.blank):
            return ids.unpadded(self.model(**blocks, attention_mask=mask.long()).last_hidden_state)


def _blank(tokenizer: Any) -> tuple[int, ...]:
    """The token that stands for none: that of masked-language training, else padding or the unknown."""
    names = ("mask_token_id", "pad_token_id", "unk_token_id")
    ids = [getattr(tokenizer, name, None) for name in names]
    return (next((int(number) for number in ids if number is not None), 0),)


def _limit(config: Any, tokenizer: Any) -> int | None:
    """Longest input in tokens that the model was made for; None when its configuration names none."""
    longest = getattr(config, "max_position_embeddings", None)
    if longest is None:
        return None
    if config.model_type in FAMILIES:
        return int(longest) - FAMILIES[config.model_type].reserved(config)
    return min(int(longest), getattr(tokenizer, "model_max_length", int(longest)))


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers' load reports and progress bars off the terminal; labtune raises what matters in them."""
    before, bars = chatter.get_verbosity(), chatter.is_progress_bar_enabled()
    chatter.set_verbosity_error()
    chatter.disable_progress_bar()
    try:
        yield
    finally:
        chatter.set_verbosity(before)
        if bars:
            chatter.enable_progress_bar()
