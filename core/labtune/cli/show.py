"""``labtune show``: a task's preset as a TOML file to save, edit and run."""

from __future__ import annotations

import argparse

from labtune.catalog import load_catalog
from labtune.cli.output import Subparsers
from labtune.settings import resolve_settings


def add(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser("show", help="print a task's settings as TOML, ready to save, edit and run")
    parser.add_argument("task", metavar="TASK", help="a name from 'labtune tasks'")
    parser.add_argument("--preset", help="one of the task's presets; the first by default")
    parser.set_defaults(work=work)


def work(arguments: argparse.Namespace) -> int:
    """Print every setting, below what the task and its presets say about themselves."""
    catalog = load_catalog()
    settings = resolve_settings(catalog, arguments.task, {"preset": arguments.preset})
    task = catalog.task(settings.task)
    print(f"# {task.name}: {task.summary}")
    for preset in task.presets:
        print(f"# preset {preset.name}: {preset.summary}".rstrip(": "))
    print()
    print(settings.to_toml(), end="")
    return 0
