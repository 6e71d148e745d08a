"""The bundled cells, which :mod:`labtune_expression.simulate` made, and examples from them."""

from __future__ import annotations

from pathlib import Path

from labtune.specs import Record

SAMPLE = Path(__file__).parent.parent / "sample" / "cells.csv"
EXAMPLES = 24


def sample() -> dict[str, Path]:
    """Return the bundled file: toy counts of 180 cells of three types."""
    return {"train": SAMPLE}


def examples() -> list[Record]:
    """Return the first bundled cells."""
    from labtune_expression.cells.reading import read

    return list(read(SAMPLE, labelled=True))[:EXAMPLES]
