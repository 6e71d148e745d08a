"""What is learned: the hidden tokens, from the encoder's states."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from labtune.encoder.base import Encoder
from labtune.pretraining.masking import Masked


class MaskedLanguageHead(nn.Module):
    """Scores every token of the vocabulary at a hidden position.

    A dense layer, GELU, a norm, and the encoder's own token embeddings as output weights, as in BERT.

    Parameters
    ----------
    width
        C, the encoder's width.
    vocabulary
        V, number of tokens.
    """

    def __init__(self, width: int, vocabulary: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.bias = nn.Parameter(torch.zeros(vocabulary))
        nn.init.normal_(self.dense.weight, std=0.02)
        nn.init.zeros_(self.dense.bias)

    def forward(self, states: Tensor, embeddings: Tensor) -> Tensor:
        """Turn states ``(M, C)`` and token embeddings ``(V, C)`` into logits ``(M, V)``."""
        return F.linear(self.norm(F.gelu(self.dense(states))), embeddings, self.bias)


class MaskedLanguageModel(nn.Module):
    """Encoder and head; the embeddings are the encoder's.

    Parameters
    ----------
    encoder
        A pre-trained or fresh encoder with token embeddings.
    embeddings
        Its token embeddings.
    """

    def __init__(self, encoder: Encoder, embeddings: nn.Embedding) -> None:
        super().__init__()
        self.encoder = encoder
        self.embeddings = (embeddings,)  # in a tuple, so that they are not registered twice
        self.head = MaskedLanguageHead(encoder.width, embeddings.num_embeddings)

    def forward(self, masked: Masked) -> Tensor:
        """Sum of the negative log-likelihoods of the hidden tokens, in nats."""
        return F.cross_entropy(self.logits(masked).float(), masked.truth, reduction="sum")

    def logits(self, masked: Masked) -> Tensor:
        """Scores of the vocabulary at the hidden positions: ``(M, V)``."""
        hidden = self.encoder({"input_ids": masked.tokens}).values  # (N, C)
        scores: Tensor = self.head(hidden.index_select(0, masked.positions), self.embeddings[0].weight)
        return scores
