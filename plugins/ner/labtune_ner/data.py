"""What comes with the plugin: sample files written by the project, examples from them, and slices."""

from __future__ import annotations

from pathlib import Path

from labtune.specs import Record

FOLDER = Path(__file__).parent / "sample"
LENGTHS = ((10, "to 10 words"), (20, "11 to 20 words"), (40, "21 to 40 words"))


def sample() -> dict[str, Path]:
    """Return the bundled files: short news sentences with people, organisations, places and other names."""
    return {split: FOLDER / f"{split}.txt" for split in ("train", "valid", "test")}


def examples() -> list[Record]:
    """Return the first sentences of the bundled test file."""
    from labtune_ner.reading import read

    return list(read(sample()["test"], labelled=True))[:12]


def length_slice(record: Record) -> str:
    """Name the slice of a record by its number of words."""
    from labtune_ner.words import words_of

    words = len(words_of(record).offsets)
    return next((name for limit, name in LENGTHS if words <= limit), "over 40 words")
