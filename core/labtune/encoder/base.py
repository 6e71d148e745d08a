"""What the rest of labtune sees of an encoder, whether it was pre-trained or is trained from scratch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from labtune.encoder.built import Origin, save_built
from labtune.errors import EncoderError
from labtune.ragged import Ragged


@dataclass(frozen=True, slots=True)
class Attention:
    """What follows the hidden state in each row of an encoder's states: queries and keys of its last layers.

    Of every layer first the queries and then the keys come, head after head, both of the hidden state's width. Queries
    are scaled, and positions rotated in, so that a query times a key is the score that the softmax is taken of.

    Parameters
    ----------
    layers, heads
        How many of each.
    """

    layers: int
    heads: int


class Encoder(nn.Module):
    """Turns tokens into hidden states. A plugin's own network derives from it and defines ``forward``.

    Attributes
    ----------
    width
        C, size of a hidden state.
    attention
        What follows a hidden state in its row; None for nothing, unless a head asks for it.
    limit
        Longest input in tokens, special tokens included; None when there is no limit.
    tokenizer
        The Hugging Face tokenizer that belongs to the weights, or None.
    origin
        The component that built the network, when it was not read from a model's files.
    fingerprint
        Of the weights as they were loaded, when a method leaves some of them as they are.
    fades
        Whether it takes the input ``fade``, see :mod:`labtune.encoder.fading`.
    """

    width: int
    attention: Attention | None = None
    limit: int | None = None
    tokenizer: Any = None
    origin: Origin | None = None
    fingerprint: str = ""
    fades: bool = False

    @property
    def row_width(self) -> int:
        """Size of a row of states: a hidden state, and the queries and keys that follow it."""
        return self.width * (1 + 2 * (self.attention.layers if self.attention else 0))

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """The repeated layers, first to last; none unless a network says otherwise."""
        return ()

    @property
    def embeddings(self) -> nn.Module | None:
        """What turns tokens into the first hidden states, if that is a module of its own."""
        return None

    def share_attention(self, layers: int) -> Attention | None:
        """Let queries and keys of up to so many of the last layers follow the hidden states, where that can be.

        Parameters
        ----------
        layers
            How many are asked for.

        Returns
        -------
        Attention or None
            What there is from now on; nothing, unless a network says otherwise.
        """
        return None

    def forward(self, inputs: Mapping[str, Ragged]) -> Ragged:
        """Hidden states ``(N, C)`` under the boundaries of the inputs; wider by what ``attention`` says."""
        raise NotImplementedError

    def save(self, folder: Path) -> None:
        """Write what ``load_encoder`` reads: here the component's name, its options and all weights."""
        if self.origin is None:
            raise EncoderError(f"a {type(self).__name__} that no component built cannot be saved")
        save_built(self, self.origin, folder)
