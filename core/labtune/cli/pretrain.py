"""``labtune pretrain``: masked-language modelling on files without labels, and labels of others beside it."""

from __future__ import annotations

import argparse
from pathlib import Path

from labtune.catalog import load_catalog
from labtune.cli.launch import add_processes, is_first_process, is_worker, launch
from labtune.cli.output import Subparsers, print_json

SETTINGS = ("task", "encoder", "weights", "steps", "hours", "seed")


def add(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "pretrain",
        help="learn an encoder from unlabelled files",
        description="Learn to predict hidden tokens of unlabelled records, from scratch or from an encoder's weights. "
        "The result, DIR/encoder, is what 'labtune run --encoder' takes.",
    )
    parser.add_argument("task", metavar="TASK", help="whose reader and tokenizer read the files")
    parser.add_argument("files", metavar="FILE", nargs="*", type=Path, help="files whose labels, if any, are ignored")
    parser.add_argument(
        "--labelled",
        metavar="FILE",
        nargs="+",
        type=Path,
        default=[],
        help="files whose labels are learned as well",
    )
    parser.add_argument("--encoder", required=True, help="a hub id, a local folder, or a plugin's name")
    parser.add_argument("--weights", help="trained: go on with the encoder's; fresh: only its architecture")
    parser.add_argument("--steps", help="optimiser steps")
    parser.add_argument("--hours", help="train for so long instead; the schedule follows the clock")
    parser.add_argument("--seed", help="of every random choice")
    parser.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="any setting, such as config.hidden_size=256"
    )
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="the folder to make")
    parser.add_argument("--resume", action="store_true", help="go on with the interrupted training in --out")
    add_processes(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line of standard output")
    parser.set_defaults(work=work)


def work(arguments: argparse.Namespace) -> int:
    """Check the settings, then train here or in several processes."""
    from labtune.pretraining.settings import resolve_pretraining

    catalog = load_catalog()
    settings = resolve_pretraining({name: getattr(arguments, name) for name in SETTINGS}, arguments.set)
    catalog.task(settings.task)
    if arguments.processes > 1 and not is_worker():
        return launch(arguments.processes, arguments.argv)
    from labtune.pretraining.pretrain import pretrain

    files = {"files": arguments.files, "labelled": arguments.labelled}
    done = pretrain(settings, **files, out=arguments.out, catalog=catalog, resume=arguments.resume)
    if is_first_process():
        if arguments.json:
            print_json({"folder": str(done.folder), **done.metrics})
        else:
            print(f"held-out perplexity {done.metrics['curve'][-1]['perplexity']:.3f}")
            print(f"encoder: {arguments.out / 'encoder'}")
    return 0
