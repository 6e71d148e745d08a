"""``labtune explain``: what predictions depend on, and what changes of the input do."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from labtune.cli.output import Subparsers, print_columns, print_json
from labtune.errors import SettingsError


def add(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "explain",
        help="what each part of the input carries, or what variants of it do",
        description="Without --variants: a table and a page that say how much each part of a record carries to its "
        "prediction. With --variants: predictions for reference and alternative, and their difference.",
    )
    parser.add_argument("run", metavar="RUN", type=Path, help="the folder of a finished run")
    parser.add_argument("file", metavar="FILE", type=Path, help="records in the task's format; labels are not needed")
    parser.add_argument(
        "-o", "--out", metavar="FILE", type=Path, help=".jsonl or .csv; FILE.explained.jsonl, beside FILE, by default"
    )
    parser.add_argument(
        "--method",
        choices=("substitution", "gradients"),
        help="replace parts one by one (the default), or integrated gradients",
    )
    parser.add_argument("--output", metavar="NAME", help="class, label or number to explain; else the predicted one")
    parser.add_argument("--steps", metavar="N", type=int, help="points of integrated gradients, 50 by default")
    parser.add_argument(
        "--variants", metavar="FILE", type=Path, help="CSV or TSV with id, position, ref and alt; or VCF"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line of standard output")
    parser.set_defaults(work=work)


def work(arguments: argparse.Namespace) -> int:
    """Explain and say what was written."""
    found = _variants(arguments) if arguments.variants else _parts(arguments)
    if arguments.json:
        print_json(found)
        return 0
    print_columns([[key, _words(value)] for key, value in found.items()])
    return 0


def _variants(arguments: argparse.Namespace) -> dict[str, Any]:
    for name in ("method", "output", "steps"):
        if getattr(arguments, name) is not None:
            raise SettingsError(f"--{name} does not go with --variants: variants are predicted, not explained")
    from labtune.explain.effects import score_variants

    return score_variants(arguments.run, arguments.file, arguments.variants, arguments.out)


def _parts(arguments: argparse.Namespace) -> dict[str, Any]:
    from labtune.explain.explaining import explain_file

    options = {name: getattr(arguments, name) for name in ("method", "output", "steps")}
    given = {name: value for name, value in options.items() if value is not None}
    return explain_file(arguments.run, arguments.file, arguments.out, **given)


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_words(entry)}" for key, entry in value.items())
    return f"{value:.3g}" if isinstance(value, float) else str(value)
