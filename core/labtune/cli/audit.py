"""``labtune audit``: what may be wrong with data, before anything is trained."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from labtune.cli.output import Subparsers, print_json


def add(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "audit",
        help="check data: duplicates, leaks, contradictions, rare classes, odd inputs",
        description="Check data files together. One file is training data; of two the second is test data; of three "
        "the second is validation data. The exit code is 1 when something serious is found.",
    )
    parser.add_argument("task", metavar="TASK", help="a name from 'labtune tasks': how the files are read")
    parser.add_argument("files", metavar="FILE", type=Path, nargs="+", help="labelled records in the task's format")
    parser.add_argument("--preset", help="whose reader options and encoder are taken")
    parser.add_argument("--noise", action="store_true", help="look for wrong labels too, with a simple model")
    parser.add_argument("--quick", action="store_true", help="leave out near duplicates")
    parser.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="any setting, such as reader.target=class"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line of standard output")
    parser.set_defaults(work=work)


def work(arguments: argparse.Namespace) -> int:
    """Check and tell."""
    from labtune.evaluation.auditing import audit_files

    found = audit_files(
        arguments.task,
        arguments.files,
        preset=arguments.preset,
        sets=arguments.set,
        extent="quick" if arguments.quick else "full",
        noise=arguments.noise,
    )
    if arguments.json:
        print_json(found)
    else:
        _tell(found["findings"], found["records"])
    return int(any(finding["severity"] == "serious" for finding in found["findings"]))


def _tell(findings: Sequence[dict[str, Any]], records: dict[str, int]) -> None:
    print("checked: " + ", ".join(f"{count:,} {part}" for part, count in records.items()))
    for finding in findings:
        print(f"{finding['severity']}: {finding['message']}")
        print(textwrap.indent(finding["advice"], "    "))
        if finding["ids"]:
            print(textwrap.indent(f"for example: {', '.join(finding['ids'])}", "    "))
    if not findings:
        print("nothing to mind")
