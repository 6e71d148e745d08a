"""Write ``docs/results.md`` and the README's one result from the JSON files in ``benchmarks/results``.

python benchmarks/publish.py
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
INTRO = """# Results

Every figure on this page was written by a script in `benchmarks/`; the command stands above each table. Settings were
chosen on validation data, test data were scored once for each seed. Ranges are the lowest and highest of the seeds.
"""
TITLES = {
    "conll2003": "Named entities: CoNLL-2003, English",
    "phrasebank": "Finance sentiment: PhraseBank, all annotators agree",
}
NOTES = {
    "conll2003": "Entity F1 on the test set as published (3,453 sentences); the encoder is all-MiniLM-L6-v2 (uncased). "
    "The two sides ran under different load of the machine, labtune under the heavier: their times cannot be compared.",
    "phrasebank": "Stratified 70/15/15 split by seed, equal sentences on one side.",
}
NAMES = {
    "entity_f1": "entity F1",
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "train_seconds": "training, s",
    "tokens_per_second": "real tokens/s",
    "records_per_second": "records/s, prediction",
    "labtune_over_this_tokens_per_second": "labtune trains faster by",
    "labtune_over_this_records_per_second": "labtune predicts faster by",
}


def main() -> None:
    """Write both pages."""
    sections = [text_section(name) for name in TITLES if (RESULTS / f"{name}.json").exists()]
    sections.append(expression_section())
    (ROOT / "docs" / "results.md").write_text("\n".join([INTRO, *sections]))
    readme = ROOT / "README.md"
    block = f"<!-- results:conll2003 -->\n{headline()}\n<!-- /results -->"
    pattern = re.compile(r"<!-- results:conll2003 -->.*?<!-- /results -->", re.DOTALL)
    readme.write_text(pattern.sub(lambda _: block, readme.read_text()))


def text_section(name: str) -> str:
    """One task's table: a row for each side, mean and range of every figure."""
    content = read(name)
    summary = content["summary"]
    columns = list(dict.fromkeys(key for row in summary.values() for key in row))
    head = ["", *(NAMES[column] for column in columns)]
    rows = [[who, *(cell(row.get(column)) for column in columns)] for who, row in summary.items()]
    facts = content["facts"]
    versions = facts["versions"]
    return "\n".join(
        [
            f"## {TITLES[name]}\n",
            f"`python {content['command']}`\n",
            f"{NOTES[name]}\n",
            table([head, *rows]),
            f"\n{facts['date']}, two cores, {facts['machine']}, torch {versions['torch']}, "
            f"transformers {versions['transformers']}. Other work ran on the machine at the same time, so times "
            "are upper bounds.\n",
        ]
    )


def expression_section() -> str:
    """Tasks of expression: a row for each case and seed."""
    content = read("expression")
    rows = [["data", "seed", "score", "labtune", "baseline"]]
    for run in content["runs"]:
        scores = [
            f"{run[who]['value']:.3f} [{run[who]['low']:.3f}, {run[who]['high']:.3f}]" for who in ("value", "baseline")
        ]
        rows.append([run["case"], str(run["seed"]), run["score"], *scores])
    note = (
        "95 % intervals on test data. The baseline is the plugin's linear model on the same split; where it wins, use "
        "it. The test plate of celseq2 had been scored in earlier layouts, so its figures are not a first look."
    )
    return "\n".join(["## Gene expression\n", f"`{content['command']}`\n", f"{note}\n", table(rows), ""])


def headline() -> str:
    """The README's sentence."""
    content = read("conll2003")
    summary = content["summary"]
    ours = summary["labtune"]
    seeds = ours["entity_f1"]["n"]
    peers = [
        f"{who}: {row['entity_f1']['mean']:.3f}, {row['train_seconds']['mean']:.0f} s"
        for who, row in summary.items()
        if who != "labtune"
    ]
    beside = (
        f" The same encoder, data, epochs and batch size with `transformers.Trainer`: {'; '.join(peers)} "
        "(under another load of the machine)."
        if peers
        else ""
    )
    return (
        f"CoNLL-2003 with the 22-million-parameter MiniLM encoder, three epochs on two CPU cores: **test entity F1 "
        f"{ours['entity_f1']['mean']:.3f}**\n({ours['entity_f1']['low']:.3f} to {ours['entity_f1']['high']:.3f} over "
        f"{seeds} seeds) after {ours['train_seconds']['mean']:.0f} s of training.{beside} Command and machine:\n"
        "[docs/results.md](docs/results.md)."
    )


def read(name: str) -> dict[str, Any]:
    """One result file."""
    content: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return content


def cell(spread: dict[str, float] | None) -> str:
    """Mean and range; three significant digits."""
    if spread is None:
        return ""
    return f"{spread['mean']:.3g} ({spread['low']:.3g} to {spread['high']:.3g})"


def table(rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "| " + " | ".join("---" for _ in rows[0]) + " |", *lines[1:]])


if __name__ == "__main__":
    main()
