"""``labtune plan``: memory and time of a training, before it begins."""

from __future__ import annotations

import argparse
import re
from importlib import import_module
from typing import TYPE_CHECKING

from labtune.catalog import load_catalog
from labtune.cli.flags import TASK, add_settings, given_settings
from labtune.cli.launch import add_processes
from labtune.cli.output import Subparsers, print_columns, print_json
from labtune.settings import resolve_settings

if TYPE_CHECKING:
    from labtune.planning import Plan

UNITS = {"MB": 10**6, "GB": 10**9, "MiB": 2**20, "GiB": 2**30}
NAMES = {
    "program": "program and records",
    "weights": "weights",
    "gradients": "gradients",
    "optimizer": "optimiser",
    "activations": "activations",
    "holes": "holes between blocks",
    "data": "tokens",
}
DOES_NOT_FIT = 1


def add(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "plan",
        help="memory and time of a training, before it begins",
        description="Say what a run with the same arguments would need, without training and without the encoder's "
        "weights: a folder with its configuration and vocabulary is enough. Exit code 1 when it does not fit.",
    )
    parser.add_argument("task", metavar="TASK|FILE.toml", help=TASK)
    add_settings(parser)
    parser.add_argument("--memory", metavar="SIZE", type=size, help="to fit in, such as 8GB; default: what there is")
    add_processes(parser)
    parser.add_argument("--shard", action="store_true", default=None, help="they share out what each would hold whole")
    parser.add_argument("--no-time", action="store_true", help="leave out the few steps that are measured")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line of standard output")
    parser.set_defaults(work=work)


def work(arguments: argparse.Namespace) -> int:
    """Plan and tell."""
    from labtune.planning import plan

    import_module("labtune.pipeline")  # the libraries of a run count as its program
    catalog = load_catalog()
    flags = {**given_settings(arguments), "shard": arguments.shard}
    settings = resolve_settings(catalog, arguments.task, flags, arguments.set)
    found = plan(
        settings,
        catalog=catalog,
        memory=arguments.memory,
        processes=arguments.processes,
        timed=not arguments.no_time,
    )
    if arguments.json:
        print_json(found.to_json())
    else:
        _tell(found)
    return 0 if found.fits else DOES_NOT_FIT


def size(text: str) -> int:
    """Read an amount of memory in bytes; argparse tells what it raises."""
    found = re.fullmatch(rf"\s*(\d+(?:\.\d+)?)\s*({'|'.join(UNITS)})\s*", text)
    if not found:
        raise argparse.ArgumentTypeError(f"must be a number and one of {', '.join(UNITS)}, such as 8GB, not {text!r}")
    return int(float(found[1]) * UNITS[found[2]])


def _tell(found: Plan) -> None:
    settings, memory = found.settings, found.to_json()["memory"]
    print(
        f"{settings.encoder}, method {settings.method}, {settings.bits} bits: {found.parameters:,} weights, "
        f"{found.trainable:,} of them learn"
    )
    rows = [[words, _amount(memory[name])] for name, words in NAMES.items() if memory[name]]
    print_columns([*rows, ["together", _amount(found.total)]])
    if found.duration is not None:
        print(
            f"time: about {_period(found.duration.epoch)} an epoch, {_period(found.duration.total)} in all "
            f"({found.duration.how})"
        )
    print(_verdict(found))


def _verdict(found: Plan) -> str:
    there = _amount(found.limit)
    if found.fits:
        return f"fits in {there} with {found.settings.batch_tokens:,} tokens a pass"
    ways = [f"{candidate.flags} does, about {_amount(candidate.bytes)}" for candidate in found.instead]
    return "; ".join([f"does not fit in {there}", *(ways or ["nor does anything lighter: choose a smaller encoder"])])


def _amount(count: float) -> str:
    if count < 10**9:
        return f"{count / 1e6:.3g} MB"
    return f"{count / 1e9:.2g} GB" if count < 10**10 else f"{count / 1e9:.0f} GB"


def _period(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
