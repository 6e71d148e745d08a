"""``labtune predict``: predictions of a finished run for a file."""

from __future__ import annotations

import argparse
from pathlib import Path

from labtune.cli.launch import add_processes, is_first_process, is_worker, launch
from labtune.cli.output import Subparsers, print_columns, print_json


def add(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser("predict", help="predict for every record of a file")
    parser.add_argument("run", metavar="RUN", type=Path, help="the folder of a finished run")
    parser.add_argument("file", metavar="FILE", type=Path, help="records in the task's format; labels are not needed")
    parser.add_argument(
        "-o", "--out", metavar="FILE", type=Path, help="FILE.predictions.jsonl, beside FILE, by default"
    )
    add_processes(parser)
    parser.add_argument("--coverage", metavar="SHARE", type=float, help="of sets and intervals, if not the run's own")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line of standard output")
    parser.set_defaults(work=work)


def work(arguments: argparse.Namespace) -> int:
    """Predict and say what was done."""
    if arguments.processes > 1 and not is_worker():
        return launch(arguments.processes, arguments.argv, advice="predict again")
    from labtune.deploy.predictor import predict_file

    summary = predict_file(arguments.run, arguments.file, arguments.out, coverage=arguments.coverage)
    if not is_first_process():
        return 0
    if arguments.json:
        print_json(summary)
    else:
        print_columns(
            [[key, f"{value:.3g}" if isinstance(value, float) else str(value)] for key, value in summary.items()]
        )
    return 0
