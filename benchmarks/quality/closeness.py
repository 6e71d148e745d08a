"""How close predictions stay when the frozen weights of a trained run are kept in fewer bits.

An adapter is trained on weights in full precision; then the same adapter and head predict on the same weights stored in
16, 8 and 4 bits. Training in few bits, which lets the adapter make up for them, is in ``grid.py``.

    python benchmarks/quality/closeness.py phrasebank conll2003
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import common
import numpy as np
import torch
from subsets import SUBSETS
from torch import Tensor

from labtune.catalog import load_catalog
from labtune.data.splits import load_splits
from labtune.inference import outputs
from labtune.parts import Parts, load_parts
from labtune.pipeline import run_settings
from labtune.settings import resolve_settings
from labtune.specs import Prediction, Record

SIZES = {
    "phrasebank": {"train": 160, "valid": 30, "test": 200},
    "conll2003": {"train": 240, "valid": 30, "test": 200},
    "secondary_structure": {"train": 30, "valid": 5, "test": 20},
}
CHOSEN = {"method": "lora", "epochs": 3, "audit": "off", "coverage": 0}
BITS = (16, 8, 4)


def main() -> None:
    """Measure each data set and write the result after it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", choices=SUBSETS)
    for name in parser.parse_args().data:
        record(name, measure(name))


def measure(name: str) -> list[dict[str, Any]]:
    """Train once; compare the test predictions at each bit width with those at 32."""
    subset, catalog = SUBSETS[name], load_catalog()
    with tempfile.TemporaryDirectory() as folder:
        data = subset.write(Path(folder) / "data", SIZES[name])
        settings = resolve_settings(catalog, subset.task, {**CHOSEN, "encoder": subset.encoder, "data": data})
        run = run_settings(settings, Path(folder) / "run", catalog=catalog).folder
        records = load_splits(catalog.task(subset.task), settings).records["test"]
        found = []
        for bits in (32, *BITS):
            parts = load_parts(replace(settings, bits=bits), catalog, run / "model")
            logits, predictions = predict(parts, records)
            score = parts.metrics[0](predictions, records)[subset.score]
            found.append({"bits": bits, "logits": logits, "predictions": predictions, subset.score: score})
    whole, *fewer = found
    return [compared(whole, item, subset.score) for item in fewer]


@torch.no_grad()
def predict(parts: Parts, records: Sequence[Record]) -> tuple[Tensor, list[Prediction]]:
    """Compute all logits, and what is decoded from them in the order of the records."""
    data = parts.tokenizer(records)
    order: list[int] = []
    logits, predictions = [], []
    for rows, batch, output in outputs(parts.model, data, range(len(data)), batch_tokens=4096):
        order += rows
        logits.append(output.logits.values)
        predictions += parts.model.head.decode(output, batch)
    return torch.cat(logits), [predictions[place] for place in np.argsort(order)]


def compared(whole: dict[str, Any], item: dict[str, Any], score: str) -> dict[str, Any]:
    """Describe the distance of one bit width from full precision."""
    return {
        "bits": item["bits"],
        "relative_error_of_logits": relative_error(item["logits"], whole["logits"]),
        "same_predictions": same(item["predictions"], whole["predictions"]),
        "score": score,
        "value": item[score],
        "value_at_32_bits": whole[score],
    }


def relative_error(found: Tensor, true: Tensor) -> float:
    """Root mean square of the difference, over that of the true values."""
    return float((found - true).norm() / true.norm())


def same(left: Sequence[Prediction], right: Sequence[Prediction]) -> float:
    """Share of decisions that agree: of records, all their spans together, or of units where each has a class."""
    pairs = [(a.value, b.value) for a, b in zip(left, right, strict=True)]
    if all(isinstance(unit, str) for value, _ in pairs if isinstance(value, list) for unit in value):
        pairs = [pair for value, other in pairs for pair in zip(as_list(value), as_list(other), strict=True)]
    return sum(a == b for a, b in pairs) / len(pairs)


def as_list(value: Any) -> list[Any]:
    """Classes of units, or the one of a record."""
    return value if isinstance(value, list) else [value]


def record(name: str, rows: list[dict[str, Any]]) -> None:
    """Put a data set among those that were measured before."""
    path = common.RESULTS / "closeness.json"
    before = json.loads(path.read_text())["data"] if path.exists() else {}
    print(name, rows, flush=True)
    data = {**before, name: rows}
    command = f"python benchmarks/quality/closeness.py {' '.join(data)}"
    common.write("closeness", {"command": command, "records": SIZES, "settings": CHOSEN, "data": data})


if __name__ == "__main__":
    main()
