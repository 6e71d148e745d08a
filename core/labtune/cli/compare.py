"""``labtune compare``: the grid of methods, bits and seeds, and which to use."""

from __future__ import annotations

import argparse
from pathlib import Path

from labtune.catalog import load_catalog
from labtune.cli.flags import TASK, add_settings, given_settings
from labtune.cli.output import Subparsers, print_json

AXES = {"methods": "method", "bits": "bits", "seeds": "seed"}


def add(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "compare",
        help="run several methods and bit widths, and say which to use",
        description="Run every method at every bit width with every seed, each in a process of its own, and compare "
        "scores, memory, time and size. The same command goes on where it was stopped.",
    )
    parser.add_argument("task", metavar="TASK|FILE.toml", help=TASK)
    parser.add_argument("--methods", metavar="M,M", default="full,lora,bitfit,head", help="default: %(default)s")
    parser.add_argument("--bits", metavar="B,B", default="32", help="default: %(default)s")
    parser.add_argument("--seeds", metavar="S,S", default="0,1,2", help="default: %(default)s")
    add_settings(parser, without=("method", "bits", "seed"))
    parser.add_argument("--out", metavar="DIR", type=Path, help="the folder of all runs; default: runs/TASK-compare")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line of standard output")
    parser.set_defaults(work=work)


def work(arguments: argparse.Namespace) -> int:
    """Compare and tell."""
    from labtune.experiments.comparison import compare, markdown
    from labtune.experiments.request import Request

    flags = {**given_settings(arguments), "bits": None}  # here --bits are several
    request = Request(load_catalog(), arguments.task, flags, arguments.set)
    axes = {name: [word for word in getattr(arguments, flag).split(",") if word] for flag, name in AXES.items()}
    out = arguments.out or Path("runs") / f"{Path(arguments.task).name.removesuffix('.toml')}-compare"
    found = compare(request, out, axes)
    if arguments.json:
        print_json({"folder": str(out), **found.to_json()})
    else:
        print(markdown(found))
        print(f"page: {out / 'compare.html'}")
    return 0
