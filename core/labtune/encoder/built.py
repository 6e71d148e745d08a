"""Encoders that a component built, not read: kept as the component's name, its options and the weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import nn

from labtune.errors import EncoderError

DESCRIPTION_FILE = "encoder.json"
WEIGHTS_FILE = "encoder.safetensors"


@dataclass(frozen=True, slots=True)
class Origin:
    """The component that builds a network, and the options it was given."""

    component: str
    options: Mapping[str, Any] = field(default_factory=dict)


def save_built(network: nn.Module, origin: Origin, folder: Path) -> None:
    """Write origin, weights and buffers."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    save_file(state, folder / WEIGHTS_FILE)
    (folder / DESCRIPTION_FILE).write_text(json.dumps(asdict(origin), indent=2) + "\n", encoding="utf-8")


def read_origin(folder: Path) -> Origin | None:
    """Return what the network in a folder was built by; None when the folder holds no built network.

    Raises
    ------
    EncoderError
        If the description is damaged.
    """
    path = folder / DESCRIPTION_FILE
    if not path.is_file():
        return None
    try:
        return Origin(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise EncoderError(f"{path} does not say how the encoder was built ({error}); train again") from error


def load_weights(network: nn.Module, folder: Path) -> None:
    """Read weights and buffers back.

    Raises
    ------
    EncoderError
        If they are missing, damaged, or of another network.
    """
    path = folder / WEIGHTS_FILE
    try:
        network.load_state_dict(load_file(path))
    except Exception as error:  # torch, safetensors and the system each raise their own
        raise EncoderError(f"{path}: the weights cannot be read ({str(error).splitlines()[0]}); train again") from error
