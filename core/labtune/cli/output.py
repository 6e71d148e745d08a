"""How commands write: columns and scores for people, one JSON line for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from labtune.plugins import Loaded

Subparsers = Any  # argparse gives its result of add_subparsers no public type


def print_columns(rows: Sequence[Sequence[str]]) -> None:
    """Print rows with aligned columns, two blanks apart."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def print_json(value: Any) -> None:
    """Print one JSON object on a line of its own."""
    print(json.dumps(value, ensure_ascii=False, default=str))


def print_scores(scores: Mapping[str, Any], baseline: Mapping[str, Any] | None = None) -> None:
    """Print scores, each ``{"value", "low", "high"}``, with their intervals and those of the trivial baseline.

    Other entries, such as curves, are left to the report.
    """
    named = {name: score for name, score in scores.items() if isinstance(score, Mapping) and "value" in score}
    rows = [["score", "value", "interval", "baseline"] if baseline else ["score", "value", "interval"]]
    for name, score in named.items():
        row = [name, _number(score["value"]), f"[{_number(score.get('low'))}, {_number(score.get('high'))}]"]
        rows.append([*row, _number(baseline.get(name, {}).get("value"))] if baseline else row)
    print_columns(rows)


def hint_at_failures(report: Loaded) -> None:
    """Tell on standard error that some plugins are not in use."""
    count = len(report.failed)
    if count:
        print(f"{count} plugin{'s are' if count > 1 else ' is'} not in use: see 'labtune plugins'", file=sys.stderr)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}" if abs(value) >= 10 else f"{value:.3f}"
