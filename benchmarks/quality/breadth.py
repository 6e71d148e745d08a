"""Entities of other fields and languages by one command each: ``ner.spans`` as it is, beside its gazetteer.

The presets' settings, nothing tuned; the test data are scored once. BC5CDR is trained on every third sentence. The same
command goes on where it was stopped.

    python benchmarks/quality/breadth.py bc5cdr sec_filings weibo
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import common
from subsets import spread

from labtune.catalog import load_catalog
from labtune.encoder.loading import load_encoder
from labtune.pipeline import run_settings
from labtune.settings import resolve_settings

TASK, SCORE = "ner.spans", "entity_f1"


@dataclass(frozen=True)
class Case:
    """One data set.

    Parameters
    ----------
    about
        What is in it.
    files
        By part.
    sizes
        Sentences of a part, spread over its file; all where nothing is said.
    noise
        What to take out of the lines of a file, as a regular expression.
    """

    about: str
    files: dict[str, str]
    sizes: dict[str, int] = field(default_factory=dict)
    noise: str = ""


BC5CDR, SEC, WEIBO = "text/bc5cdr", "text/fin_sec_ner", "text/weibo_ner_zh/weiboNER_2nd_conll"
CASES = {
    "bc5cdr": Case(
        "BC5CDR: chemicals and diseases in abstracts",
        {"train": f"{BC5CDR}/train.tsv", "valid": f"{BC5CDR}/devel.tsv", "test": f"{BC5CDR}/test.tsv"},
        {"train": 1520, "valid": 400},
    ),
    "sec_filings": Case(
        "FIN5 and FIN3: people, organisations and places in loan agreements",
        {"train": f"{SEC}/FIN5.txt", "test": f"{SEC}/FIN3.txt"},
    ),
    "weibo": Case(
        "Weibo: Chinese posts, character by character",
        {"train": f"{WEIBO}.train", "valid": f"{WEIBO}.dev", "test": f"{WEIBO}.test"},
        noise=r"(?<=^.)\d+(?=\t)",  # the place of a character in its word
    ),
}


def main() -> None:
    """Measure, print a line a run, and write the result after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="+", choices=CASES)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--out", type=Path, default=Path("breadth"), help="folder of the runs")
    arguments = parser.parse_args()
    for name in arguments.cases:
        for seed in arguments.seeds:
            record(measure(name, seed, arguments.out / f"{name}-{seed}"))


def measure(name: str, seed: int, folder: Path) -> dict[str, Any]:
    """Run one case with one seed, or go on with it."""
    case, catalog = CASES[name], load_catalog()
    settings = resolve_settings(catalog, TASK, {"data": prepare(case, folder / "data"), "seed": seed})
    metrics = run_settings(settings, folder / "run", resume=True, catalog=catalog).metrics
    found = {"case": name, "about": case.about, "seed": seed, "epochs": settings.epochs}
    found |= {"records": {part: facts["records"] for part, facts in metrics["data"].items()}}
    vocabulary = load_encoder(settings.encoder, catalog).tokenizer
    found |= {"unknown": unknown_share(Path(settings.data["test"]), vocabulary)}
    found |= {"train_seconds": metrics["train"]["seconds"], "baseline_name": metrics["baseline_name"]}
    found |= {part: metrics[part][SCORE] for part in ("valid", "test", "baseline")} | {"warnings": metrics["warnings"]}
    print(found, flush=True)
    return found


def prepare(case: Case, folder: Path) -> dict[str, str]:
    """Write the sentences that are used; return the files by part."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for part, name in case.files.items():
        sentences = common.data(name).read_text(encoding="utf-8").strip().split("\n\n")
        chosen = spread(sentences, case.sizes.get(part, len(sentences)))
        text = re.sub(case.noise, "", "\n\n".join(chosen), flags=re.MULTILINE) if case.noise else "\n\n".join(chosen)
        (folder / f"{part}.txt").write_text(f"{text}\n", encoding="utf-8")
        files[part] = str(folder / f"{part}.txt")
    return files


def unknown_share(path: Path, vocabulary: Any) -> float:
    """Share of a column file's words that the vocabulary reads as the unknown token alone."""
    words = [line.split()[0] for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    known = {word: vocabulary.tokenize(word) != [vocabulary.unk_token] for word in set(words)}
    return sum(not known[word] for word in words) / len(words)


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
