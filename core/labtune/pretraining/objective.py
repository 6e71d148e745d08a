"""What is learned: hidden tokens, from the encoder's states; and beside them pairs of segments, or labels of tokens."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from labtune.encoder.base import Encoder
from labtune.encoder.dropout import cheapen_dropout
from labtune.pretraining.masking import Masked
from labtune.protocols import IGNORED


@dataclass(frozen=True)
class Scores:
    """Logits of the vocabulary at hidden positions ``(M, V)``, of pairs ``(B, 2)``, of every token's label ``(N, L)``.

    What is not asked of a batch is None.
    """

    words: Tensor
    pairs: Tensor | None = None
    labels: Tensor | None = None


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
    labels
        L, of which tokens have one; 0 for none. The layer that scores them is not kept: only the encoder is.
    label_weight
        Of their loss.
    """

    def __init__(
        self,
        encoder: Encoder,
        embeddings: nn.Embedding,
        *,
        pairs: bool = False,
        labels: int = 0,
        label_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.embeddings = (embeddings,)  # in a tuple, so that they are not registered twice
        self.head = MaskedLanguageHead(encoder.width, embeddings.num_embeddings, pairs=pairs)
        self.labels = nn.Linear(encoder.width, labels) if labels else None
        self.label_weight = label_weight
        cheapen_dropout(self)

    def forward(self, masked: Masked) -> Tensor:
        """Negative log-likelihood of the hidden tokens, summed, in nats.

        For pairs of segments their mean loss is added once for every hidden token, so that dividing by the hidden
        tokens gives the sum of the two means, as in BERT. So is that of labels.
        """
        scores, hidden = self.scores(masked), len(masked.truth)
        loss = F.cross_entropy(scores.words.float(), masked.truth, reduction="sum")
        if scores.pairs is not None and masked.follows is not None:
            loss = loss + F.cross_entropy(scores.pairs.float(), masked.follows) * hidden
        if scores.labels is not None and masked.labels is not None:
            labels = F.cross_entropy(scores.labels.float(), masked.labels, ignore_index=IGNORED, reduction="sum")
            known = (masked.labels != IGNORED).sum().clamp(min=1)  # there may be none
            loss = loss + self.label_weight * labels / known * hidden
        return loss

    def scores(self, masked: Masked) -> Scores:
        """What the encoder makes of a batch."""
        inputs = {"input_ids": masked.tokens}
        if masked.segments is not None:
            inputs["token_type_ids"] = masked.segments
        hidden = self.encoder(inputs).values  # (N, C)
        words: Tensor = self.head(hidden.index_select(0, masked.positions), self.embeddings[0].weight)
        labels = None if self.labels is None else self.labels(hidden)
        if masked.segments is None:
            return Scores(words, labels=labels)
        first = hidden.index_select(0, masked.tokens.offsets[:-1].to(hidden.device))
        return Scores(words, self.head.score_pairs(first), labels)
