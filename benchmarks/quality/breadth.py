"""Entities of other fields and languages by one command each: ``ner.spans`` as it is, beside its gazetteer.

Epochs were chosen on validation data (``--tune``, which scores nothing else); the test data are scored once.

    python benchmarks/quality/breadth.py bc5cdr sec_filings weibo --seeds 0
    python benchmarks/quality/breadth.py weibo --seeds 0 --tune epochs=20
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import common

from labtune.catalog import load_catalog
from labtune.pipeline import run_settings
from labtune.settings import resolve_settings

TASK, SCORE = "ner.spans", "entity_f1"


@dataclass(frozen=True)
class Case:
    """One data set: what is in it, its files and its settings."""

    about: str
    files: dict[str, str]
    settings: dict[str, Any] = field(default_factory=dict)


BC5CDR, SEC, WEIBO = "text/bc5cdr", "text/fin_sec_ner", "text/weibo_ner_zh/weiboNER_2nd_conll"
CASES = {
    "bc5cdr": Case(
        "BC5CDR: chemicals and diseases in abstracts",
        {"train": f"{BC5CDR}/train.tsv", "valid": f"{BC5CDR}/devel.tsv", "test": f"{BC5CDR}/test.tsv"},
    ),
    "sec_filings": Case(
        "FIN5 and FIN3: parties, people and places in loan agreements",
        {"train": f"{SEC}/FIN5.txt", "test": f"{SEC}/FIN3.txt"},
    ),
    "weibo": Case(
        "Weibo: Chinese posts, read by characters",
        {"train": f"{WEIBO}.train", "valid": f"{WEIBO}.dev", "test": f"{WEIBO}.test"},
    ),
}


def main() -> None:
    """Measure, print a line a run, and write the result after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="+", choices=CASES)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--tune", nargs="*", metavar="KEY=VALUE", help="score these settings on validation data only")
    arguments = parser.parse_args()
    for name in arguments.cases:
        for seed in arguments.seeds:
            run = measure(name, seed, arguments.tune)
            if arguments.tune is None:
                record(run)


def measure(name: str, seed: int, tuned: list[str] | None) -> dict[str, Any]:
    """Run one case with one seed."""
    case, catalog = CASES[name], load_catalog()
    files = {part: str(common.data(path)) for part, path in case.files.items()}
    settings = resolve_settings(catalog, TASK, {**case.settings, "data": files, "seed": seed}, tuned or [])
    with tempfile.TemporaryDirectory() as folder:
        metrics = run_settings(settings, Path(folder) / "run", catalog=catalog).metrics
    found = {"case": name, "about": case.about, "seed": seed, "epochs": settings.epochs}
    found |= {"records": {part: facts["records"] for part, facts in metrics["data"].items()}}
    found |= {"train_seconds": metrics["train"]["seconds"], "valid": metrics["valid"][SCORE]}
    if tuned is None:
        found |= {"test": metrics["test"][SCORE], "baseline": metrics["baseline"][SCORE]}
        found |= {"baseline_name": metrics["baseline_name"], "warnings": metrics["warnings"]}
    print(*(tuned or []), found, flush=True)
    return found


def record(run: dict[str, Any]) -> None:
    """Put a run among those that were measured before."""
    path = common.RESULTS / "breadth.json"
    before = json.loads(path.read_text())["runs"] if path.exists() else []
    runs = [old for old in before if (old["case"], old["seed"]) != (run["case"], run["seed"])] + [run]
    runs.sort(key=lambda item: (list(CASES).index(item["case"]), item["seed"]))
    command = f"python benchmarks/quality/breadth.py {' '.join(CASES)}"
    common.write("breadth", {"command": command, "runs": runs})


if __name__ == "__main__":
    main()
