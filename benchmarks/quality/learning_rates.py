"""Score each fine-tuning method at several learning rates, on validation data of two tasks: where defaults come from.

python benchmarks/quality/learning_rates.py --records 250 --epochs 4
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from itertools import islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import common

from labtune.catalog import load_catalog
from labtune.pipeline import run_settings
from labtune.settings import resolve_settings

STEPS = {  # rates to try, by method
    "full": (5e-5, 1e-4, 3e-4),
    "lora": (3e-4, 1e-3, 3e-3),
    "ia3": (3e-3, 1e-2, 3e-2),
    "adapter": (3e-4, 1e-3, 3e-3),
    "prompt": (1e-2, 3e-2, 1e-1),
    "bitfit": (1e-3, 3e-3, 1e-2),
    "head": (1e-3, 3e-3, 1e-2),
}
TASKS = {
    "ner.conll2003": ("text/conll2003_en/train.txt", "entity_f1"),
    "finance.sentiment": ("text/financial_phrasebank/Sentences_AllAgree.txt", "macro_f1"),
}


def main() -> None:
    """Run the sweep, print a line a run, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--records", type=int, default=250, help="training records of each task")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--methods", nargs="+", choices=STEPS, default=list(STEPS))
    arguments = parser.parse_args()
    rows = [
        {"method": method, "rate": rate, **scores(arguments, method, rate)}
        for method in arguments.methods
        for rate in STEPS[method]
    ]
    best = {
        method: max((row for row in rows if row["method"] == method), key=lambda row: row["mean"])["rate"]
        for method in arguments.methods
    }
    content = {"command": " ".join(sys.argv), "encoder": arguments.encoder, "records": arguments.records}
    content |= {"epochs": arguments.epochs, "split": "validation", "runs": rows, "best": best}
    print("written:", common.write("learning_rates", content), best)


def scores(arguments: argparse.Namespace, method: str, rate: float) -> dict[str, float]:
    """Validation score of each task, and their mean."""
    found = {task: score(arguments, task, method, rate) for task in TASKS}
    found["mean"] = statistics.fmean(found.values())
    print(method, rate, {task: round(value, 4) for task, value in found.items()}, flush=True)
    return found


def score(arguments: argparse.Namespace, task: str, method: str, rate: float) -> float:
    """Train on a part of the data and score the validation part."""
    name, metric = TASKS[task]
    catalog = load_catalog()
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / f"part{Path(name).suffix}"
        part.write_text(first_records(common.data(name), task, round(arguments.records / 0.7)), encoding="utf-8")
        flags: dict[str, Any] = {"encoder": arguments.encoder, "method": method, "epochs": arguments.epochs}
        flags |= {"learning_rate": rate, "head_learning_rate": max(rate, 1e-3), "data": {"train": str(part)}}
        settings = resolve_settings(catalog, task, flags)
        metrics = run_settings(settings, out=Path(folder) / "run", catalog=catalog).metrics
    return float(metrics["valid"][metric]["value"])


def first_records(path: Path, task: str, count: int) -> str:
    """Return sentences from the start of a CoNLL file, or lines spread over a sorted one."""
    text = path.read_text(encoding="latin-1")
    if task.startswith("ner"):
        return "\n\n".join(islice(text.split("\n\n"), count)) + "\n"
    lines = text.splitlines()
    return "\n".join(lines[:: max(len(lines) // count, 1)][:count]) + "\n"


if __name__ == "__main__":
    main()
