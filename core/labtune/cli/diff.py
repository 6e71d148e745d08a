"""``labtune diff``: which of two finished runs is better, by how much, and how sure."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from labtune.cli.output import Subparsers, print_columns, print_json

SHOWN = 5  # ids of each sort


def add(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "diff",
        help="compare two finished runs on the same test records",
        description="Compare two finished runs of one task on the same test records: paired bootstrap and permutation "
        "test, and the records on which they differ. Differences are second less first.",
    )
    parser.add_argument("first", metavar="RUN", type=Path, help="the folder of a finished run")
    parser.add_argument("second", metavar="RUN", type=Path, help="another one")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line of standard output")
    parser.set_defaults(work=work)


def work(arguments: argparse.Namespace) -> int:
    """Compare and print."""
    from labtune.evaluation.diff import diff_runs

    found = diff_runs(arguments.first, arguments.second)
    if arguments.json:
        print_json(found)
    else:
        _tell(found)
    return 0


def _tell(found: dict[str, Any]) -> None:
    rows = [["score", "first", "second", "difference", "interval"]]
    for name, score in found["scores"].items():
        interval = f"[{score['low']:+.4f}, {score['high']:+.4f}]"
        rows.append([name, f"{score['first']:.4f}", f"{score['second']:.4f}", f"{score['difference']:+.4f}", interval])
    print_columns(rows)
    print(found["verdict"])
    for name, ids in found["differ"].items():
        shown = ", ".join(ids[:SHOWN]) + (", …" if len(ids) > SHOWN else "")
        print(f"{name.replace('_', ' ')}: {len(ids)}" + (f" ({shown})" if ids else ""))
