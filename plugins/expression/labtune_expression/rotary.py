"""A small transformer with rotary positions, trained from scratch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from transformers import EsmConfig, EsmModel

from labtune.encoder.attention import PACKED
from labtune.encoder.fading import FADE
from labtune.encoder.hub import HubEncoder
from labtune.errors import SettingsError
from labtune.ragged import Ragged
from labtune_expression.alphabet import BASES, LETTERS
from labtune_expression.strands import StrandEncoder, Strands


class RotaryEncoder(StrandEncoder):
    """The layers of ESM-2 (rotary positions, norm first) over a small vocabulary; batches run packed.

    Parameters
    ----------
    width, layers, heads
        C, number of layers, and of heads in each.
    dropout
        Of hidden states; the setting ``dropout`` replaces it.
    vocabulary
        Token ids: the letters by default; ``4**k + 1`` for k-mers, which have one strand only.
    strands, shift
        See :class:`labtune_expression.strands.StrandEncoder`.
    """

    def __init__(
        self,
        *,
        width: int = 128,
        layers: int = 4,
        heads: int = 8,
        dropout: float = 0.1,
        vocabulary: int = len(LETTERS),
        strands: Strands = "both",
        shift: int = 0,
    ) -> None:
        super().__init__(width, strands=strands, shift=shift)
        if width % heads:
            raise SettingsError(f"encoder_options.heads is {heads}, which does not divide the width of {width}")
        if vocabulary != len(LETTERS) and (self.both or shift):
            raise SettingsError("encoder_options.vocabulary is for k-mers, which need strands=forward and shift=0")
        tokens = 2 * vocabulary if self.both else vocabulary  # letters of the reverse strand are tokens of their own
        config = EsmConfig(
            vocab_size=tokens + 1,
            pad_token_id=tokens,
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            intermediate_size=4 * width,
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=0.0,
            position_embedding_type="rotary",
            token_dropout=False,
            emb_layer_norm_before=False,
            attn_implementation=PACKED,
        )
        model = EsmModel(config, add_pooling_layer=False)
        model.contact_head = None  # not on the way to the hidden states
        self.network = HubEncoder(model, tokenizer=None)
        self.network.blank = _every_base(vocabulary, self.both)

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """The layers, first to last."""
        return self.network.blocks

    def encode(self, letters: Ragged, reverse: Tensor, fade: Ragged | None = None) -> Ragged:
        """Hidden states ``(N, C)`` of letter ids ``(N,)``."""
        rows = torch.repeat_interleave(reverse, letters.lengths).to(letters.values)
        inputs = {"input_ids": letters.with_values(letters.values + rows * len(LETTERS))}
        return self.network(inputs if fade is None else {**inputs, FADE: fade})


def _every_base(vocabulary: int, both: bool) -> tuple[int, ...]:
    """Ids whose average stands for no base: the four on either strand, or all k-mers."""
    if vocabulary != len(LETTERS):
        return tuple(range(vocabulary - 1))
    forward = tuple(range(len(BASES)))
    return (*forward, *(number + vocabulary for number in forward)) if both else forward
