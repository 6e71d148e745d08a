"""``labtune report``: a run's page again, or several runs side by side; also as Markdown and JSON."""

from __future__ import annotations

import argparse
from pathlib import Path

from labtune.cli.output import Subparsers, print_json

FORMATS = ("html", "md", "json")


def add(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "report",
        help="make a run's report again, or put several runs side by side",
        description="Make the report of a finished run from its files, or a page of several runs of one task.",
    )
    parser.add_argument("runs", metavar="RUN", type=Path, nargs="+", help="the folder of a finished run")
    parser.add_argument("--format", choices=FORMATS, default="html", help="html by default")
    parser.add_argument(
        "-o", "--out", metavar="FILE", type=Path, help="RUN/report.FORMAT, or report.FORMAT for several runs"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line of standard output")
    parser.set_defaults(work=work)


def work(arguments: argparse.Namespace) -> int:
    """Write, and say where."""
    from labtune.evaluation.report.writing import write_reports

    out = write_reports(arguments.runs, arguments.out, arguments.format)
    if arguments.json:
        print_json({"report": str(out)})
    else:
        print(f"report: {out}")
    return 0
