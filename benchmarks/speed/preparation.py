"""What comes before the arithmetic: seconds to read and tokenise a data set once, and to make a step's batch of it.

Seconds are of processor time, in one thread. They say whether tokenising in several processes, keeping the tokens on
disk or preparing batches ahead could save anything.

    python benchmarks/speed/preparation.py
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import cases
import common

from labtune.catalog import load_catalog
from labtune.data.splits import load_splits
from labtune.parts import build_parts
from labtune.settings import resolve_settings

BATCH, STEPS = 32, 40


def main() -> None:
    """Measure each case and write the result."""
    rows = []
    for name in cases.TASKS:
        rows.append(measure(name))
        print(rows[-1], flush=True)
    print("written:", common.write("preparation", {"command": "benchmarks/speed/preparation.py", "rows": rows}))


def measure(name: str) -> dict[str, Any]:
    """Seconds of each part."""
    catalog = load_catalog()
    task, options = cases.TASKS[name]
    encoder = "protein.mini" if name == "secondary_structure" else "minilm"
    data = {part: str(common.data(path)) for part, path in cases.FILES[name].items()}
    settings = resolve_settings(catalog, task, {**options, "data": data, "encoder": encoder})
    began = time.process_time()
    splits = load_splits(catalog.task(task), settings)
    read = time.process_time() - began
    records = splits.records["train"]
    parts = build_parts(settings, catalog, splits.labels)
    parts.tokenizer(records[:BATCH])  # warm-up
    began = time.process_time()
    tokenised = parts.tokenizer(records)
    tokenise = time.process_time() - began
    began = time.process_time()
    for step in range(STEPS):
        tokenised.select(range(step * BATCH, (step + 1) * BATCH))
    batch = (time.process_time() - began) / STEPS
    tokens = len(tokenised.tokens.values)
    return {
        "case": name, "records": len(records), "tokens": tokens, "read_seconds": read, "tokenise_seconds": tokenise,
        "batch_milliseconds": 1e3 * batch,
    }  # fmt: skip


if __name__ == "__main__":
    main()
