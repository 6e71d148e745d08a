"""What is refused before anything is loaded: configurations that bring code, and weights that are pickles."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from labtune.errors import EncoderError

PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


def check_folder(folder: Path, name: str) -> None:
    """Refuse a model folder that is unsafe or incomplete.

    Parameters
    ----------
    folder
        The model's files.
    name
        What the user called the model, for messages.

    Raises
    ------
    EncoderError
        If there is no configuration or no safetensors weights, or if a configuration asks for code of its own.
    """
    check_configs(folder, name)
    if not any(folder.glob("*.safetensors")):
        raise EncoderError(_no_weights(folder, name))


def check_configs(folder: Path, name: str) -> None:
    """Refuse a model folder without a configuration, or with one that asks for code; raises EncoderError."""
    if not (folder / "config.json").is_file():
        raise EncoderError(
            f"encoder {name!r} has no config.json in {folder}: give a folder that save_pretrained() wrote"
        )
    for path in sorted(folder.glob("*.json")):
        if path.name.endswith("config.json"):
            _check_config(path, name)


def _check_config(path: Path, name: str) -> None:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise EncoderError(f"encoder {name!r}: {path} is not valid JSON ({error})") from error
    for key in _keys(config):
        if key == "auto_map" or key.startswith("_attn_implementation"):
            raise EncoderError(
                f"encoder {name!r} is refused: {path} has {key!r}, which can run code that comes with the weights; "
                f"choose a model that transformers itself implements"
            )


def _keys(value: Any) -> Iterator[str]:
    """Every key of nested JSON."""
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _keys(item)


def _no_weights(folder: Path, name: str) -> str:
    pickles = sorted(path.name for pattern in PICKLED for path in folder.glob(pattern))
    found = f"only {pickles[0]}, and pickled weights can run code" if pickles else "none"
    return (
        f"encoder {name!r} needs weights as safetensors, found {found}; where you trust them, convert: "
        f"AutoModel.from_pretrained({name!r}).save_pretrained('FOLDER'), and the same for AutoTokenizer"
    )
