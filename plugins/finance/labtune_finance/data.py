"""What comes with the plugin: sample files written by the project, examples from them, and slices."""

from __future__ import annotations

from pathlib import Path

from labtune.specs import Record

FOLDER = Path(__file__).parent / "sample"
LENGTHS = ((10, "to 10 words"), (20, "11 to 20 words"), (30, "21 to 30 words"))


def sample() -> dict[str, Path]:
    """Return the bundled files: 240 sentences about invented companies, 160 of them for training."""
    return {part: FOLDER / f"{part}.csv" for part in ("train", "valid", "test")}


def examples() -> list[Record]:
    """Return the first sentences of the bundled test file."""
    from labtune_finance.phrasebank import read

    return list(read(sample()["test"], labelled=True))[:12]


def length_slice(record: Record) -> str:
    """Name the slice of a record by its number of words."""
    words = len(record.input.split())
    return next((name for limit, name in LENGTHS if words <= limit), "over 30 words")


def figures_slice(record: Record) -> str:
    """Tell sentences with a number from those without, whose sentiment hangs on words alone."""
    return "with figures" if any(character.isdigit() for character in record.input) else "without figures"
