"""Train the encoder's own weights: all of them, or those of the top blocks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from labtune.encoder.base import Encoder
from labtune.encoder.methods.base import Method, check, is_whole_number
from labtune.encoder.structure import depths


@dataclass(frozen=True)
class Full(Method):
    """Fine-tune the encoder itself.

    Parameters
    ----------
    top_blocks
        Train only so many blocks, from the top, and what comes after them. None: everything.
    layer_decay
        Factor on the learning rate from one block to the one below, above 0 and at most 1 (discriminative rates, Howard
        and Ruder 2018).
    gradual
        Let the blocks begin to learn one after the other, from the top at the first epoch to the embeddings, spread
        over all epochs (gradual unfreezing, Howard and Ruder 2018).
    """

    name = "full"
    top_blocks: int | None = None
    layer_decay: float = 1.0
    gradual: bool = False

    def __post_init__(self) -> None:
        check(
            self.top_blocks is None or is_whole_number(self.top_blocks),
            "top_blocks",
            "a whole number, 1 or more",
            self.top_blocks,
        )
        number = isinstance(self.layer_decay, int | float) and not isinstance(self.layer_decay, bool)
        check(number and 0 < self.layer_decay <= 1, "layer_decay", "above 0 and at most 1", self.layer_decay)
        check(isinstance(self.gradual, bool), "gradual", "true or false", self.gradual)

    @property
    def whole(self) -> bool:
        """Whether everything learns."""
        return self.top_blocks is None

    def freeze(self, encoder: Encoder) -> None:
        """Let everything learn, or what lies in or after the top blocks."""
        if self.top_blocks is None:
            encoder.requires_grad_(True)
            return
        below = depths(encoder, "tuning.top_blocks")
        most = len(encoder.blocks)
        check(self.top_blocks <= most, "top_blocks", f"at most {most}, the number of blocks", self.top_blocks)
        for name, parameter in encoder.named_parameters():
            parameter.requires_grad_(below[name] < self.top_blocks)

    def save(self, encoder: Encoder, folder: Path, base: str) -> None:
        """Write the whole encoder, or what learned of it."""
        if self.whole:
            encoder.save(folder)
        else:
            super().save(encoder, folder, base)
