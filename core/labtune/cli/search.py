"""``labtune search``: settings that do well on validation data."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from labtune.catalog import load_catalog
from labtune.cli.flags import TASK, add_settings, given_settings
from labtune.cli.launch import count
from labtune.cli.output import Subparsers, print_json, print_scores
from labtune.errors import SettingsError

if TYPE_CHECKING:
    from labtune.experiments.findings import Findings
    from labtune.experiments.request import Request


def add(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "search",
        help="search for settings that do well on validation data",
        description="Try methods, learning rates, batch sizes and what the task's preset declares; a setting that is "
        "given here is not searched. The same command goes on where it was stopped, and several that run at once, also "
        "on several machines with one folder, share the trials. Test data is not touched. With --split cv:5 every fold "
        "has a search of its own and is then tested: nested cross-validation.",
    )
    parser.add_argument("task", metavar="TASK|FILE.toml", help=TASK)
    parser.add_argument("--trials", metavar="N", type=count, required=True, help="settings to try, by all processes")
    parser.add_argument("--jobs", metavar="J", type=count, default=1, help="processes on this machine")
    parser.add_argument(
        "--pruner", choices=("median", "hyperband", "none"), default="median", help="what gives trials up"
    )
    add_settings(parser)
    parser.add_argument("--out", metavar="DIR", type=Path, help="the folder of the search; default: runs/TASK-search")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line of standard output")
    parser.set_defaults(work=work)


def work(arguments: argparse.Namespace) -> int:
    """Search and tell."""
    from labtune.experiments.request import FOLDS, Request
    from labtune.experiments.search import search

    request = Request(load_catalog(), arguments.task, given_settings(arguments), arguments.set)
    out = arguments.out or Path("runs") / f"{Path(arguments.task).name.removesuffix('.toml')}-search"
    if request.base().split.startswith(FOLDS):
        return _nested(arguments, request, out)
    if arguments.jobs > 1:
        request.base()  # what is wrong with them is told once
        code = _share(arguments, out)
        if code:
            return code
    found = search(request, out, arguments.trials, arguments.pruner)
    _tell(found, out, as_json=arguments.json)
    return 0


def _nested(arguments: argparse.Namespace, request: Request, out: Path) -> int:
    """Search in every fold and test it."""
    if arguments.jobs > 1:
        raise SettingsError("a nested search runs in one process: leave --jobs out")
    from labtune.experiments.nested import PAGE, nested_search

    summary = nested_search(request, out, arguments.trials, arguments.pruner)
    if arguments.json:
        print_json({"folder": str(out), **summary})
        return 0
    print_scores(summary["test"], summary["baseline"])
    print(f"page: {out / PAGE}")
    return 0


def _share(arguments: argparse.Namespace, out: Path) -> int:
    """Run the same command in several processes; return the first exit code that is not 0."""
    from labtune.experiments.children import Child, wait_for

    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // arguments.jobs)))
    out.mkdir(parents=True, exist_ok=True)
    words = [*arguments.argv, "--out", str(out), "--jobs", "1"]
    children = [Child(words) for _ in range(arguments.jobs)]
    wait_for(children, out)
    return next((child.code for child in children if child.code), 0)


def _tell(found: Findings, out: Path, *, as_json: bool) -> None:
    if as_json:
        print_json({"folder": str(out), **found.to_json()})
        return
    print(f"best validation {found.name}: {found.best.score:.4g} (trial {found.best.number})")
    for name, value in found.best.values.items():
        print(f"  {name} = {value:.4g}" if isinstance(value, float) else f"  {name} = {value}")
    print(f"page: {out / 'search.html'}")
    print(f"run it: labtune run {out / 'best.toml'}")
