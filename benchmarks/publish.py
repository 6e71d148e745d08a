"""Write ``docs/results.md`` and the README's one result from the JSON files in ``benchmarks/results``.

python benchmarks/publish.py
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from textwrap import fill

sys.path.insert(0, str(Path(__file__).resolve().parent))

from pages import RESULTS, ROOT, read, table
from publish_cells import cell_sections
from publish_evaluation import evaluation_sections
from publish_methods import method_sections
from publish_proteins import protein_section
from publish_scale import scale_sections
from publish_sequences import sequence_sections
from publish_speed import speed_sections, speed_sentence

INTRO = """# Results

Every figure on this page was written by a script in `benchmarks/`; the command stands above each table. Settings were
chosen on validation data, test data were scored once for each seed. Ranges are the lowest and highest of the seeds.
"""
TITLES = {
    "conll2003": "Named entities: CoNLL-2003, English",
    "phrasebank": "Finance sentiment: PhraseBank, all annotators agree",
}
NOTES = {
    "conll2003": "Entity F1 on the test set as published (3,453 sentences); the encoder is all-MiniLM-L6-v2, whose "
    "vocabulary ignores case: labtune tells it the case of words by the segments of tokens, the Trainer does not.",
    "phrasebank": "Stratified 70/15/15 split by seed, equal sentences on one side.",
}
SCORES = {"entity_f1": "entity F1", "accuracy": "accuracy", "macro_f1": "macro F1"}


def main() -> None:
    """Write both pages."""
    sections = [text_section(name) for name in TITLES if (RESULTS / f"{name}.json").exists()]
    sections += sequence_sections()
    sections += cell_sections()
    sections.append(protein_section())
    sections += method_sections()
    sections += scale_sections()
    sections += evaluation_sections()
    sections += speed_sections()
    (ROOT / "docs" / "results.md").write_text("\n".join([INTRO, *sections]))
    readme = ROOT / "README.md"
    block = f"<!-- results:conll2003 -->\n{headline()}\n<!-- /results -->"
    pattern = re.compile(r"<!-- results:conll2003 -->.*?<!-- /results -->", re.DOTALL)
    readme.write_text(pattern.sub(lambda _: block, readme.read_text()))


def text_section(name: str) -> str:
    """One task's table: a row for each side, mean and range of every score."""
    content = read(name)
    summary = content["summary"]
    columns = [score for score in SCORES if any(score in row for row in summary.values())]
    rows = [["", *(SCORES[column] for column in columns), "seeds"]]
    for who, row in summary.items():
        rows.append([who, *(cell(row.get(column)) for column in columns), str(row[columns[0]]["n"])])
    facts = content["facts"]
    versions = facts["versions"]
    return "\n".join(
        [
            f"## {TITLES[name]}\n",
            f"`python {content['command']}`\n",
            f"{NOTES[name]} Speed is measured apart, below, where both sides have the machine to themselves.\n",
            table(rows),
            f"\n{facts['date']}, {facts['machine']}, torch {versions['torch']}, transformers "
            f"{versions['transformers']}.\n",
        ]
    )


def headline() -> str:
    """The README's sentences."""
    scores = {who: row["entity_f1"] for who, row in read("conll2003")["summary"].items()}
    ours = scores.pop("labtune")
    beside = "".join(
        f"; `transformers.Trainer` with its {who.removeprefix('Trainer, ')}, the same encoder, data, epochs and "
        f"records a step: {score['mean']:.3f} ({_range(score)})"
        for who, score in scores.items()
    )
    text = (
        f"CoNLL-2003 with the 22-million-parameter MiniLM encoder, three epochs on two CPU cores: **test entity F1 "
        f"{ours['mean']:.3f}** ({_range(ours)}){beside}. {speed_sentence()} Commands and machine: "
        "[docs/results.md](docs/results.md)."
    )
    return fill(text, 118, break_long_words=False, break_on_hyphens=False)


def _range(score: dict[str, float]) -> str:
    return f"{score['low']:.3f} to {score['high']:.3f} over {score['n']} seeds" if score["n"] > 1 else "one seed"


def cell(spread: dict[str, float] | None) -> str:
    """Mean and range; three significant digits."""
    if spread is None:
        return ""
    return f"{spread['mean']:.3g} ({spread['low']:.3g} to {spread['high']:.3g})"


if __name__ == "__main__":
    main()
