"""Encoder and head as one module; records longer than the encoder's limit are read in windows."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import nn

from labtune.encoder.base import Encoder
from labtune.encoder.dropout import cheapen_dropout
from labtune.errors import RunError, SettingsError
from labtune.protocols import Batch, Output
from labtune.ragged import Ragged, Windows, plan_windows

HEAD_FILE = "head.safetensors"


class Model(nn.Module):
    """An encoder and a head.

    Parameters
    ----------
    encoder
        Ragged inputs to hidden states ``(N, C)``.
    head
        Hidden states to outputs.
    window_overlap
        Tokens that neighbouring windows share; a quarter of a window by default.
    """

    def __init__(self, encoder: Encoder, head: nn.Module, *, window_overlap: int | None = None) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.window_overlap = window_overlap
        cheapen_dropout(self)

    def windows(self, batch: Batch) -> Windows | None:
        """Plan windows for records over the limit; None when all fit."""
        limit = self.encoder.limit
        if limit is None:
            return None
        special = {"prefix": batch.prefix, "suffix": batch.suffix}
        try:
            return plan_windows(batch.tokens, limit, overlap=self.window_overlap, **special)
        except ValueError as error:
            raise SettingsError(f"window_overlap is {self.window_overlap}, but {error}") from error

    def encode(self, batch: Batch) -> Ragged:
        """Hidden states ``(N, C)``, with windows put together, and less those of the reference where there is one."""
        hidden = self._encode(batch)
        if batch.reference is None:
            return hidden
        return hidden.with_values(hidden.values - self._encode(batch.reference).values.repeat(len(batch), 1))

    def _encode(self, batch: Batch) -> Ragged:
        windows = self.windows(batch)
        if windows is None:
            hidden: Ragged = self.encoder(batch.inputs)
            return hidden
        inputs = {name: windows.cut(ragged) for name, ragged in batch.inputs.items()}
        return windows.stitch(self.encoder(inputs).values, batch.tokens.offsets)

    def forward(self, batch: Batch) -> Output:
        """Encode, and apply the head."""
        output: Output = self.head(self.encode(batch), batch)
        return output

    def trainable(self) -> dict[str, nn.Parameter]:
        """Parameters that learn, by name."""
        return {name: parameter for name, parameter in self.named_parameters() if parameter.requires_grad}


def save_head(head: nn.Module, folder: Path) -> None:
    """Write the head's weights and buffers."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in head.state_dict().items()}
    save_file(state, folder / HEAD_FILE)


def load_head(head: nn.Module, folder: Path) -> None:
    """Read the head's weights back; raises RunError when they are missing or do not fit."""
    path = folder / HEAD_FILE
    try:
        head.load_state_dict(load_file(path))
    except Exception as error:  # torch, safetensors and the system each raise their own
        raise RunError(f"{path}: the head's weights cannot be read ({_first_line(error)}); train again") from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
