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
    "conll2003": "Entity F1 on the test set as published (3,453 sentences); the encoder is all-MiniLM-L6-v2 (uncased).",
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
            f"\n{facts['date']}, {facts['machine']['cores']} cores of {facts['machine']['device']}, "
            f"torch {versions['torch']}, transformers {versions['transformers']}.\n",
        ]
    )


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
    return (
        f"CoNLL-2003 with the 22-million-parameter MiniLM encoder, on two CPU cores: **test entity F1 "
        f"{ours['entity_f1']['mean']:.3f}** after {ours['train_seconds']['mean']:.0f} s of training "
        f"(mean of {seeds} seeds). The same encoder, data, epochs and batch size with `transformers.Trainer`, in the "
        f"same run: {'; '.join(peers)}. Command, ranges and machine: [docs/results.md](docs/results.md)."
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
