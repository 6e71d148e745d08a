"""What is learned: the hidden tokens, from the encoder's states."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from labtune.encoder.base import Encoder
from labtune.encoder.dropout import cheapen_dropout
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
    pairs
        Score also whether the second segment of a pair goes on from the first, from the state of the first token.
    """

    def __init__(self, width: int, vocabulary: int, *, pairs: bool = False) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.bias = nn.Parameter(torch.zeros(vocabulary))
        self.pooled = nn.Linear(width, width) if pairs else None
        self.pair = nn.Linear(width, 2) if pairs else None
        for layer in filter(None, (self.dense, self.pooled, self.pair)):
            nn.init.normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)

    def forward(self, states: Tensor, embeddings: Tensor) -> Tensor:
        """Turn states ``(M, C)`` and token embeddings ``(V, C)`` into logits ``(M, V)``."""
        return F.linear(self.norm(F.gelu(self.dense(states))), embeddings, self.bias)

    def score_pairs(self, first: Tensor) -> Tensor:
        """Turn states of first tokens ``(B, C)`` into logits ``(B, 2)``; only for a head built for pairs."""
        assert self.pooled is not None
        assert self.pair is not None
        scores: Tensor = self.pair(torch.tanh(self.pooled(first)))
        return scores


class MaskedLanguageModel(nn.Module):
    """Encoder and head; the embeddings are the encoder's.

    Parameters
    ----------
    encoder
        A pre-trained or fresh encoder with token embeddings.
    embeddings
        Its token embeddings.
    pairs
        Whether it is given pairs of segments.
    """

    def __init__(self, encoder: Encoder, embeddings: nn.Embedding, *, pairs: bool = False) -> None:
        super().__init__()
        self.encoder = encoder
        self.embeddings = (embeddings,)  # in a tuple, so that they are not registered twice
        self.head = MaskedLanguageHead(encoder.width, embeddings.num_embeddings, pairs=pairs)
        cheapen_dropout(self)

    def forward(self, masked: Masked) -> Tensor:
        """Negative log-likelihood of the hidden tokens, summed, in nats.

        For pairs of segments their mean loss is added once for every hidden token, so that dividing by the hidden
        tokens gives the sum of the two means, as in BERT.
        """
        logits, pairs = self.scores(masked)
        loss = F.cross_entropy(logits.float(), masked.truth, reduction="sum")
        if pairs is not None and masked.follows is not None:
            loss = loss + F.cross_entropy(pairs.float(), masked.follows) * len(masked.truth)
        return loss

    def scores(self, masked: Masked) -> tuple[Tensor, Tensor | None]:
        """Scores of the vocabulary at hidden positions ``(M, V)``, and of pairs ``(B, 2)`` if they are pairs."""
        inputs = {"input_ids": masked.tokens}
        if masked.segments is not None:
            inputs["token_type_ids"] = masked.segments
        hidden = self.encoder(inputs).values  # (N, C)
        words: Tensor = self.head(hidden.index_select(0, masked.positions), self.embeddings[0].weight)
        if masked.segments is None:
            return words, None
        first = hidden.index_select(0, masked.tokens.offsets[:-1].to(hidden.device))
        return words, self.head.score_pairs(first)
