"""What the rest of labtune sees of an encoder, whether it was pre-trained or is trained from scratch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from labtune.encoder.built import Origin, save_built
from labtune.errors import EncoderError
from labtune.ragged import Ragged


class Encoder(nn.Module):
    """Turns tokens into hidden states. A plugin's own network derives from it and defines ``forward``.

    Attributes
    ----------
    width
        C, size of a hidden state.
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
    limit: int | None = None
    tokenizer: Any = None
    origin: Origin | None = None
    fingerprint: str = ""
    fades: bool = False

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """The repeated layers, first to last; none unless a network says otherwise."""
        return ()

    @property
    def embeddings(self) -> nn.Module | None:
        """What turns tokens into the first hidden states, if that is a module of its own."""
        return None

    def forward(self, inputs: Mapping[str, Ragged]) -> Ragged:
        """Hidden states ``(N, C)`` under the boundaries of the inputs."""
        raise NotImplementedError

    def save(self, folder: Path) -> None:
        """Write what ``load_encoder`` reads: here the component's name, its options and all weights."""
        if self.origin is None:
            raise EncoderError(f"a {type(self).__name__} that no component built cannot be saved")
        save_built(self, self.origin, folder)
