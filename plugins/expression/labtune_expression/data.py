"""What comes with the plugin: sample files that :mod:`labtune_expression.simulate` made, examples from them, slices."""

from __future__ import annotations

from pathlib import Path

from labtune.specs import Record

FOLDER = Path(__file__).parent / "sample"
EXAMPLES = 12


def promoters() -> dict[str, Path]:
    """Return the bundled promoter files: toy sequences with expression and class."""
    return {part: FOLDER / f"promoters_{part}.csv" for part in ("train", "valid", "test")}


def promoter_examples() -> list[Record]:
    """Return the first promoters of the bundled test file, with their expression."""
    return _examples("expression", float)


def class_examples() -> list[Record]:
    """Return the first promoters of the bundled test file, with their class."""
    return _examples("class", str)


def _examples(column: str, kind: type) -> list[Record]:
    from labtune_expression.reading import read

    records = list(read(promoters()["test"], labelled=True, target=column))[:EXAMPLES]
    return [Record(record.id, record.input, kind(record.target), source=record.source) for record in records]
