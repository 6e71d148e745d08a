"""Fine-tuning on text, quality and speed, beside ``transformers.Trainer`` in the same run.

Both sides start from the same encoder (minilm) and see the same records, epochs and records a step. Settings were
chosen on validation data (``--tune``); the test data are scored once for each seed.

    python benchmarks/quality/text.py conll2003 --seeds 0 1 2 --peers best
    python benchmarks/quality/text.py phrasebank --seeds 0 1 2 --peers best default
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import common
import peers

from labtune.catalog import load_catalog
from labtune.data.splits import Splits, load_splits
from labtune.encoder.minilm import locate
from labtune.pipeline import run_settings
from labtune.settings import resolve_settings
from labtune.specs import Prediction

FLAGS: dict[str, dict[str, Any]] = {"default": {}, "best": peers.BEST_FLAGS}
CONLL = "text/conll2003_en"
TASKS: dict[str, tuple[str, dict[str, str], str]] = {
    "conll2003": ("ner.conll2003", {p: f"{CONLL}/{p}.txt" for p in ("train", "valid", "test")}, "entity_f1"),
    "phrasebank": ("finance.sentiment", {"train": "text/financial_phrasebank/Sentences_AllAgree.txt"}, "accuracy"),
}


def main() -> None:
    """Measure, print a line a run, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, help="the preset's by default")
    parser.add_argument("--batch-size", type=int, help="the preset's by default")
    parser.add_argument("--peers", nargs="*", choices=FLAGS, default=["best"])
    parser.add_argument("--again", nargs="*", metavar="WHO", default=[], help="repeat these sides, such as labtune")
    parser.add_argument("--tune", nargs="*", metavar="KEY=VALUE", help="score these settings on validation data only")
    arguments = parser.parse_args()
    runs = kept(arguments)
    for seed in arguments.seeds:
        for run in measure(arguments, seed, {run["who"] for run in runs if run["seed"] == seed}):
            runs.append(run)
            if arguments.tune is None:
                write(arguments, runs)


def kept(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Runs of the same size that were measured before: they are not repeated, unless asked for."""
    path = common.RESULTS / f"{arguments.task}.json"
    if arguments.tune is not None or not path.exists():
        return []
    content = json.loads(path.read_text())
    same = all(content[key] == getattr(arguments, key) for key in ("epochs", "batch_size"))
    again = {(who, seed) for who in arguments.again for seed in arguments.seeds}
    return [run for run in content["runs"] if same and (run["who"], run["seed"]) not in again]


def write(arguments: argparse.Namespace, runs: list[dict[str, Any]]) -> None:
    """Write after every run, so that an interrupted measurement can go on."""
    size = {key: getattr(arguments, key) for key in ("task", "epochs", "batch_size")}
    common.write(arguments.task, {**size, "command": command(arguments), "runs": runs, "summary": summarise(runs)})


def command(arguments: argparse.Namespace) -> str:
    """The command that measures everything that is in the result."""
    words = ["benchmarks/quality/text.py", arguments.task]
    words += [f"--epochs {arguments.epochs}"] if arguments.epochs else []
    words += [f"--batch-size {arguments.batch_size}"] if arguments.batch_size else []
    return " ".join([*words, "--seeds", *map(str, arguments.seeds), "--peers", *arguments.peers])


def measure(arguments: argparse.Namespace, seed: int, done: set[str]) -> Iterator[dict[str, Any]]:
    """Run labtune and each peer with one seed, but for those that are done."""
    name, files, score = TASKS[arguments.task]
    flags = {"epochs": arguments.epochs, "batch_size": arguments.batch_size, "seed": seed}
    flags["data"] = {part: str(common.data(path)) for part, path in files.items()}
    catalog = load_catalog()
    settings = resolve_settings(catalog, name, flags, arguments.tune or [])
    if "labtune" not in done:
        yield own_run(settings, score, seed, catalog, arguments.tune)
    splits = load_splits(catalog.task(name), settings)
    for who in arguments.peers if arguments.tune is None else []:
        if peer_name(who) not in done:
            yield peer_run(who, splits, settings, score, seed, catalog)


def own_run(settings: Any, score: str, seed: int, catalog: Any, tuned: list[str] | None) -> dict[str, Any]:
    """Run labtune once."""
    with tempfile.TemporaryDirectory() as folder:
        metrics = run_settings(settings, out=Path(folder) / "run", catalog=catalog).metrics
    part = "valid" if tuned is not None else "test"
    found = {
        "who": "labtune",
        "seed": seed,
        score: metrics[part][score]["value"],
        "macro_f1": metrics[part].get("macro_f1", {}).get("value"),
        "train_seconds": metrics["train"]["seconds"],
        "tokens_per_second": metrics["train"]["tokens_per_second"],
        "records_per_second": metrics["predict"]["records_per_second"],
        "split": metrics["split"],
    }
    report(found, tuned)
    return found


def peer_name(flags: str) -> str:
    """How the table names a peer."""
    return f"Trainer, {flags} flags"


def peer_run(who: str, splits: Splits, settings: Any, score: str, seed: int, catalog: Any) -> dict[str, Any]:
    """Run the Trainer once and score it with labtune's own metric, which equals seqeval's and scikit-learn's."""
    task = catalog.task(settings.task)
    train, test = splits.records["train"], splits.records["test"]
    shared = {"epochs": settings.epochs, "batch_size": settings.batch_size, "seed": seed, "flags": FLAGS[who]}
    if score == "entity_f1":
        from labtune_ner.tags import decode, encode, tag_names

        types = splits.labels.names
        pairs = [(list(r.input), encode(r.target, len(r.input), types)) for r in train]
        words = [list(r.input) for r in test]
        result = peers.train_tokens(locate(), pairs, words, labels=len(tag_names(types)), **shared)
        values: list[Any] = [decode(row, types) for row in result.predicted]
    else:
        ids = {label: index for index, label in enumerate(splits.labels.names)}
        pairs = [(r.input, ids[r.target]) for r in train]
        result = peers.train_sequences(locate(), pairs, [r.input for r in test], labels=len(ids), **shared)
        values = [splits.labels.names[index] for index in result.predicted]
    metric = catalog.build("metrics", task.metrics[0], splits.labels)
    scores = metric([Prediction(r.id, value) for r, value in zip(test, values, strict=True)], test)
    found = {
        "who": peer_name(who),
        "seed": seed,
        score: scores[score],
        "macro_f1": scores.get("macro_f1"),
        "train_seconds": result.train_seconds,
        "tokens_per_second": result.tokens / result.train_seconds,
        "records_per_second": len(test) / result.predict_seconds,
    }
    report(found, None)
    return found


def summarise(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Spread of every figure by who, and labtune's speed over each peer's, seed by seed."""
    figures = [key for key in runs[0] if key not in ("who", "seed", "split") and runs[0][key] is not None]
    names = list(dict.fromkeys(run["who"] for run in runs))
    pick: Callable[[str, str], list[float]] = lambda who, key: [run[key] for run in runs if run["who"] == who]  # noqa: E731  used twice, below
    table = {who: {key: common.spread(pick(who, key)) for key in figures} for who in names}
    for who in names:
        if who == "labtune":
            continue
        for key in ("tokens_per_second", "records_per_second"):
            ratios = [a / b for a, b in zip(pick("labtune", key), pick(who, key), strict=False)]
            table[who][f"labtune_over_this_{key}"] = common.spread(ratios)
    return table


def report(run: dict[str, Any], tuned: list[str] | None) -> None:
    """Print one run on one line."""
    shown = {key: round(value, 4) if isinstance(value, float) else value for key, value in run.items()}
    print(*(tuned or []), shown, flush=True)


if __name__ == "__main__":
    main()
