"""``labtune check``: whether a plugin keeps the contract."""

from __future__ import annotations

import argparse

from labtune.cli.output import Subparsers, print_json


def add(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser("check", help="check that an installed plugin keeps the contract")
    parser.add_argument("plugin", metavar="PLUGIN", help="a name from 'labtune plugins'")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line of standard output")
    parser.set_defaults(work=work)


def work(arguments: argparse.Namespace) -> int:
    """Run every check; the exit code is 1 if one does not hold."""
    from labtune.testing import run_checks

    results = {}
    for name, error in run_checks(arguments.plugin):
        results[name] = error
        if not arguments.json:
            print(f"{'ok' if error is None else 'FAILED':6}  {name}{f': {error}' if error else ''}", flush=True)
    failed = [name for name, error in results.items() if error]
    if arguments.json:
        print_json({"plugin": arguments.plugin, "checks": results, "failed": failed})
    else:
        print(f"{len(results) - len(failed)} of {len(results)} checks hold")
    return 1 if failed else 0
