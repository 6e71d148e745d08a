"""What the scripts share that ship what families taught: weights in a file, and a card with a row for every round."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor


def write(file: Path, weights: Mapping[str, Tensor], card: str) -> None:
    """Write weights, and the card beside them."""
    store(file, weights)
    (file.parent / "MODEL_CARD.md").write_text(card)
    print(f"written: {file.parent}")


def store(file: Path, weights: Mapping[str, Tensor]) -> None:
    """Write weights as bfloat16."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(save({name: value.bfloat16().contiguous() for name, value in weights.items()}))


def facts(run: Path, score: str) -> dict[str, Any]:
    """Say how the training of a round went; ``score`` is read on validation data."""
    metrics = json.loads((run / "metrics.json").read_text())
    train = metrics["data"]["train"]
    return {
        "records": train["records"],
        "tokens": train["tokens"],
        "sha256": train["sha256"],
        "judged": metrics["data"]["valid"]["records"],
        "score": metrics["valid"][score]["value"],
        "seed": metrics["seed"],
        "epochs": metrics["train"]["epochs"],
        "seconds": metrics["train"]["seconds"],
    }


def table(header: str, row: str, rounds: Sequence[Mapping[str, Any]]) -> str:
    """Draw a table with a row for each round."""
    rule = "| ---: " * (header.count(" | ") + 1) + "|"
    return "\n".join([header, rule, *(row.format(number=number, **one) for number, one in enumerate(rounds, start=1))])
