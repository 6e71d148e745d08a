"""``labtune tasks``: what can be run."""

from __future__ import annotations

import argparse
from typing import Any

from labtune.catalog import SINGULAR, Catalog, load_catalog
from labtune.cli.output import Subparsers, hint_at_failures, print_columns, print_json
from labtune.specs import Task


def add(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser("tasks", help="list the installed tasks")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.set_defaults(work=work)


def work(arguments: argparse.Namespace) -> int:
    """List tasks with their presets."""
    catalog = load_catalog()
    described = [_describe(catalog, task) for _, task in sorted(catalog.tasks.items())]
    if arguments.json:
        print_json({"tasks": described, "failed": [plugin.name for plugin in catalog.report.failed]})
    elif described:
        print_columns([[task["name"], ", ".join(task["presets"]), _remark(task)] for task in described])
    else:
        print("No task is installed: tasks come with plugins, which are pip packages.")
    hint_at_failures(catalog.report)
    return 0


def _describe(catalog: Catalog, task: Task) -> dict[str, Any]:
    return {
        "name": task.name,
        "summary": task.summary,
        "presets": [preset.name for preset in task.presets],
        "missing": [f"{SINGULAR[kind]} {name}" for kind, name in catalog.missing(task)],
    }


def _remark(task: dict[str, Any]) -> str:
    return (
        f"{task['summary']} (not usable without: {', '.join(task['missing'])})" if task["missing"] else task["summary"]
    )
