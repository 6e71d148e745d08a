"""Explanations as lines of a file: JSON, or CSV with a line a piece."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from labtune.errors import SettingsError
from labtune.explain.attribution import Explanation
from labtune.folder import finite

Lines = Callable[[Explanation], Iterator[str]]


def writer_of(path: Path) -> tuple[Lines, Callable[[Explanation], str]]:
    """Choose by suffix how explanations are written: their lines, and the heading that goes before the first.

    Raises
    ------
    SettingsError
        If the suffix is neither ``.jsonl`` nor ``.csv``.
    """
    if path.suffix == ".csv":
        return _csv_lines, _csv_heading
    if path.suffix == ".jsonl":
        return _json_lines, lambda _: ""
    raise SettingsError(f"{path}: explanations are written as .jsonl or .csv; choose another --out")


def _json_lines(explanation: Explanation) -> Iterator[str]:
    content: dict[str, Any] = {
        "id": explanation.id,
        "output": explanation.output,
        "score": explanation.score,
        "pieces": list(explanation.pieces),
        "attributions": explanation.attributions.tolist(),
    }
    if explanation.effects is not None:
        content["effects"] = dict(zip(explanation.symbols, explanation.effects.T.tolist(), strict=True))
    if explanation.gap is not None:
        content["gap"] = explanation.gap
    yield json.dumps(finite(content), ensure_ascii=False) + "\n"


def _csv_heading(first: Explanation) -> str:
    return csv_line(["id", "output", "position", "piece", "attribution", *map("to_{}".format, first.symbols)])


def _csv_lines(explanation: Explanation) -> Iterator[str]:
    for place, (piece, value) in enumerate(zip(explanation.pieces, explanation.attributions.tolist(), strict=True)):
        effects = [] if explanation.effects is None else explanation.effects[place].tolist()
        yield csv_line([explanation.id, explanation.output, place + 1, piece, value, *effects])


def csv_line(cells: list[Any]) -> str:
    """Quote the cells of one line."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()
