"""``labtune export``: a finished run in the format of another library."""

from __future__ import annotations

import argparse
from pathlib import Path

from labtune.cli.output import Subparsers, print_columns, print_json


def add(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser("export", help="write a finished run for transformers or peft")
    parser.add_argument("run", metavar="RUN", type=Path, help="the folder of a finished run")
    parser.add_argument(
        "--format",
        choices=("hf", "peft"),
        required=True,
        help="hf: a plain transformers classifier with everything merged; peft: the adapter alone",
    )
    parser.add_argument("-o", "--out", metavar="DIR", type=Path, help="RUN/export-FORMAT by default")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line of standard output")
    parser.set_defaults(work=work)


def work(arguments: argparse.Namespace) -> int:
    """Export and say what was written."""
    from labtune.deploy.export import export_run

    summary = export_run(arguments.run, arguments.format, arguments.out)
    if arguments.json:
        print_json(summary)
    else:
        print_columns([[key, str(value)] for key, value in summary.items()])
    return 0
