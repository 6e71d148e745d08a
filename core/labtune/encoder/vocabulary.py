"""Characters that an encoder's vocabulary lacks, learned with the task.

A vocabulary of pieces of words reads a word as "unknown" when any of its characters is missing, so that an English
encoder sees a Chinese text, or one full of symbols, as the same token over and over. Each missing character gets a
token of its own instead. Its first embedding is drawn from a normal distribution with the mean and spread of the others
(after Hewitt 2021, "Initializing New Word Embeddings for Pretrained Language Models").
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from labtune.encoder.base import Encoder
from labtune.encoder.hub import HubEncoder, quiet

log = logging.getLogger(__name__)

WORTHWHILE = 0.01  # share of missing characters from which a vocabulary grows
LEAST = 2  # occurrences from which something can be learned of a character


def missing_characters(vocabulary: Any, texts: Iterable[str]) -> list[str]:
    """Name the characters that are unknown to a vocabulary, in the order of their first occurrence.

    Parameters
    ----------
    vocabulary
        The encoder's fast tokenizer.
    texts
        Of the training data.

    Returns
    -------
    list of str
        Those that occur twice or more and are in no piece of the vocabulary; none when fewer than one in a hundred
        characters of the texts is missing.
    """
    if vocabulary.unk_token_id is None:
        return []
    counts = Counter(character for text in texts for character in text if not character.isspace())
    if not counts:
        return []
    known = {character for piece in vocabulary.get_vocab() for character in piece}
    strange = [character for character in counts if character not in known]
    read = vocabulary(strange, add_special_tokens=False, return_attention_mask=False)["input_ids"] if strange else []
    missing = [character for character, ids in zip(strange, read, strict=True) if vocabulary.unk_token_id in ids]
    share = sum(counts[character] for character in missing) / counts.total()
    return [character for character in missing if counts[character] >= LEAST] if share >= WORTHWHILE else []


def learn_characters(encoder: Encoder, texts: Iterable[str]) -> list[str]:
    """Add the missing characters to a pre-trained encoder whose embeddings learn, and return them.

    The embeddings of new ones are drawn from torch's global state. Nothing is added to an encoder without a vocabulary,
    nor to one of which fewer weights learn than the embeddings: their rows would stay random.
    """
    if not isinstance(encoder, HubEncoder) or encoder.tokenizer is None:
        return []
    table: Any = encoder.model.get_input_embeddings()
    learns = isinstance(table, nn.Embedding) and table.weight.requires_grad
    added = missing_characters(encoder.tokenizer, texts) if learns else []
    if added:
        encoder.tokenizer.add_tokens(added)
        spread, mean = torch.std_mean(table.weight.detach(), 0)  # (C,)
        with quiet():
            encoder.model.resize_token_embeddings(len(encoder.tokenizer), mean_resizing=False)
        table = encoder.model.get_input_embeddings()
        with torch.no_grad():
            table.weight[-len(added) :] = mean + spread * torch.randn(len(added), encoder.width)
        log.warning(
            "the encoder does not know %d characters of the training data: each gets a token of its own, "
            "which has only this data to learn from; an encoder of the language or alphabet would know more",
            len(added),
        )
    return added
