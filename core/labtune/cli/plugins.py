"""``labtune plugins``: what is installed, and why something cannot be used."""

from __future__ import annotations

import argparse

from labtune.cli.output import Subparsers, print_columns, print_json
from labtune.plugins import Plugin, load_plugins


def add(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser("plugins", help="list the installed plugins, and what is wrong with which")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.set_defaults(work=work)


def work(arguments: argparse.Namespace) -> int:
    """List plugins with their distribution, version, and offers or error."""
    report = load_plugins()
    if arguments.json:
        print_json({"plugins": [_describe(plugin) for plugin in report.plugins]})
        return 0
    print_columns([[plugin.name, plugin.origin, _state(plugin)] for plugin in report.plugins])
    if report.failed:
        print("LABTUNE_STRICT=1 LABTUNE_DEBUG=1 shows where the first one failed.")
    return 0


def _describe(plugin: Plugin) -> dict[str, object]:
    return {
        "name": plugin.name,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "module": plugin.module,
        "offers": {kind: [offer.name for offer in offered] for kind, offered in plugin.offers.items()},
        "error": plugin.error or None,
    }


def _state(plugin: Plugin) -> str:
    counts = [f"{kind}: {len(offered)}" for kind, offered in plugin.offers.items() if offered]
    return f"NOT IN USE: {plugin.error}" if plugin.error else ", ".join(counts) or "offers nothing"
