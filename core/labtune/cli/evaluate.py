"""``labtune evaluate``: scores of a finished run on a labelled file."""

from __future__ import annotations

import argparse
from pathlib import Path

from labtune.cli.output import Subparsers, print_json, print_scores


def add(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser("evaluate", help="score a finished run on a labelled file")
    parser.add_argument("run", metavar="RUN", type=Path, help="the folder of a finished run")
    parser.add_argument("file", metavar="FILE", type=Path, help="labelled records in the task's format")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line of standard output")
    parser.set_defaults(work=work)


def work(arguments: argparse.Namespace) -> int:
    """Score and print."""
    from labtune.deploy.predictor import evaluate_file

    result = evaluate_file(arguments.run, arguments.file)
    if arguments.json:
        print_json(result)
    else:
        print_scores(result["scores"])
    return 0
