"""``labtune new-plugin``: the files of a new plugin, which install and run as they are."""

from __future__ import annotations

import argparse
from pathlib import Path

from labtune.cli.output import Subparsers


def add(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser("new-plugin", help="write a new plugin that installs, passes its checks and runs")
    parser.add_argument("name", metavar="NAME", help="prefix of everything it offers: small letters, digits and _")
    parser.add_argument("--in", dest="parent", metavar="DIR", type=Path, default=Path(), help="where; here by default")
    parser.set_defaults(work=work)


def work(arguments: argparse.Namespace) -> int:
    """Write it, and say how to go on."""
    from labtune.scaffold import create

    name = arguments.name
    folder = create(name, arguments.parent)
    print(f"{folder}: a plugin with the task {name}.questions")
    print(f"next: pip install -e {folder} && labtune check {name} && labtune run {name}.questions")
    return 0
