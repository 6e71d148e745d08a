"""A small transformer over the set of genes of a cell, trained from scratch or pre-trained by hiding genes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from labtune.encoder.base import Encoder
from labtune.errors import SettingsError
from labtune.ragged import Ragged
from labtune_expression.cells.tokens import SPECIAL, GeneTokens


class SetEncoder(Encoder):
    """Embeddings of genes and of their levels, added, and layers without positions: the order of tokens is no matter.

    A level is the bin that the tokenizer gives; without one it is the token's rank in its cell, in equal steps.
    The vocabulary of genes travels with the weights, so that a pre-trained encoder knows its own.

    Parameters
    ----------
    genes
        Size of the vocabulary, at most: the tokenizer's.
    width, layers, heads
        C, number of layers, and of heads in each.
    levels
        Of expression.
    dropout
        Of hidden states; the setting ``dropout`` replaces it.
    """

    def __init__(
        self,
        *,
        genes: int = 2000,
        width: int = 64,
        layers: int = 2,
        heads: int = 4,
        levels: int = 16,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if width % heads:
            raise SettingsError(f"encoder_options.heads is {heads}, which does not divide the width of {width}")
        self.width = width
        self.genes = nn.Embedding(genes + SPECIAL, width)
        self.levels = nn.Embedding(levels + 1, width)
        self.dropout = nn.Dropout(dropout)
        self.stages = nn.ModuleList([Layer(width, heads, dropout) for _ in range(layers)])
        self.norm = nn.LayerNorm(width)
        for table in (self.genes, self.levels):
            nn.init.normal_(table.weight, std=0.02)

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """The layers, first to last."""
        return tuple(self.stages)

    @property
    def embeddings(self) -> nn.Module:
        """Those of genes."""
        return self.genes

    def forward(self, inputs: Mapping[str, Ragged]) -> Ragged:
        """Hidden states ``(N, C)`` of tokens ``(N,)`` and, where the tokenizer gives them, levels ``(N,)``."""
        tokens = inputs["input_ids"]
        levels = inputs["levels"].values if "levels" in inputs else self._ranks(tokens)
        self._check(tokens.values, levels)
        states = tokens.with_values(self.dropout(self.genes(tokens.values) + self.levels(levels)))
        block, there = states.padded()  # (B, T, C)
        for stage in self.stages:
            block = stage(block, there)
        return tokens.unpadded(self.norm(block))

    def get_extra_state(self) -> Tensor:
        """The vocabulary, as the bytes of its JSON text; none before it is learned."""
        text = json.dumps(self.tokenizer.state()) if self.tokenizer is not None else ""
        return torch.frombuffer(bytearray(text.encode() or b" "), dtype=torch.uint8)

    def set_extra_state(self, state: Any) -> None:
        """Take back what :meth:`get_extra_state` gave."""
        text = bytes(state.tolist()).decode().strip()
        self.tokenizer = GeneTokens.restored(json.loads(text)) if text else None

    def _ranks(self, tokens: Ragged) -> Tensor:
        """Levels from ranks: 0 for the token that opens a cell, then 1 for the first genes to L for the last."""
        starts = tokens.offsets[:-1].to(tokens.values.device)
        rank = torch.arange(len(tokens.values), device=tokens.values.device) - starts[tokens.segment_ids]
        last = (tokens.lengths.to(rank.device) - 1).clamp(min=1)[tokens.segment_ids]
        count = self.levels.num_embeddings - 1
        return torch.where(rank > 0, 1 + (rank - 1) * count // last, 0)

    def _check(self, tokens: Tensor, levels: Tensor) -> None:
        for option, table, values in (("genes", self.genes, tokens), ("levels", self.levels, levels)):
            if len(values) and int(values.max()) >= table.num_embeddings:
                raise SettingsError(
                    f"the tokenizer gives more {option} than encoder_options.{option} has room for; set both alike "
                    f"(tokenizer.genes, tokenizer.bins)"
                )


class Layer(nn.Module):
    """Norm, attention over the whole set, norm, two linear layers, each pair added to its input."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.query_key_value = nn.Linear(width, 3 * width)
        self.mix = nn.Linear(width, width)
        self.expand = nn.Linear(width, 4 * width)
        self.narrow = nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, block: Tensor, there: Tensor) -> Tensor:
        """States ``(B, T, C)`` to states; only tokens that are ``there (B, T)`` are looked at."""
        count, length, width = block.shape
        heads = self.query_key_value(self.norms[0](block)).view(count, length, 3, self.heads, -1)
        query, key, value = heads.permute(2, 0, 3, 1, 4)  # each (B, H, T, C / H)
        seen = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=there[:, None, None])
        block = block + self.dropout(self.mix(seen.transpose(1, 2).reshape(count, length, width)))
        hidden = nn.functional.gelu(self.expand(self.norms[1](block)))
        states: Tensor = block + self.dropout(self.narrow(hidden))
        return states
