"""Kinds of tokens that a vocabulary does not tell apart, as further segments of an encoder.

BERT and its descendants add to every token the embedding of its segment, the first or the second of a pair. Further
rows of that table can say something else of a token, such as the case of a word that an uncased vocabulary reads in
lower case. They begin as copies of the first segment's, so that the encoder computes at first what it did before.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from labtune.encoder.base import Encoder
from labtune.encoder.hub import HubEncoder


def add_segments(encoder: Encoder, count: int) -> int | None:
    """Add rows to the segment embeddings of a pre-trained encoder.

    Parameters
    ----------
    encoder
        Changed in place, its configuration too.
    count
        How many.

    Returns
    -------
    int or None
        Number of the first new segment. None where nothing was added: the encoder has no such table, or the table does
        not learn, so that the rows would stay what they are.
    """
    if not isinstance(encoder, HubEncoder):
        return None
    layer: Any = encoder.embeddings
    table = getattr(layer, "token_type_embeddings", None)
    if not isinstance(table, nn.Embedding) or not table.weight.requires_grad:
        return None
    known = table.weight.detach()  # (S, C)
    layer.token_type_embeddings = nn.Embedding.from_pretrained(torch.cat([known, known[:1].repeat(count, 1)]), False)
    encoder.model.config.type_vocab_size = len(known) + count
    return len(known)
