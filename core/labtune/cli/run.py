"""``labtune run``: fine-tune, evaluate, report."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labtune.catalog import Catalog, load_catalog
from labtune.cli.launch import add_processes, is_first_process, is_worker, launch
from labtune.cli.output import Subparsers, print_json, print_scores
from labtune.errors import SettingsError
from labtune.folder import claim
from labtune.resuming import choose_settings
from labtune.settings import DATA_FILES, Settings
from labtune.training.interrupts import how_to_go_on

SETTINGS = ("preset", "encoder", "method", "bits", "epochs", "seed", "split", "checkpoint_every", "coverage", "shard")

FOLDS = "cv:"  # a split that is many runs


def add(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "run",
        help="fine-tune, evaluate and report",
        description="Fine-tune, evaluate and report. Without data files the plugin's bundled sample is used; "
        "of one file the rest is split off. Every other setting: 'labtune show TASK', then --set or a TOML file.",
    )
    parser.add_argument(
        "task", nargs="?", metavar="TASK|FILE.toml", help="a name from 'labtune tasks', or a file of settings"
    )
    for name in DATA_FILES:
        parser.add_argument(f"--{name}", metavar="FILE", help=f"records of the {name} split")
    parser.add_argument("--preset", help="named settings of the task")
    parser.add_argument("--encoder", help="a hub id, a local folder, or a plugin's name")
    parser.add_argument("--method", help="which weights learn: full, lora, …")
    parser.add_argument("--bits", help="storage of the frozen weights: 32, 16, 8 or 4")
    parser.add_argument("--epochs", help="passes over the training data")
    parser.add_argument("--seed", help="of every random choice")
    parser.add_argument("--split", help="how one file becomes three: stratified, …, or cv:5x10 for 10 times 5 folds")
    parser.add_argument("--checkpoint-every", metavar="STEPS", help="0, the default: after every epoch")
    parser.add_argument("--coverage", metavar="SHARE", help="of the sets and intervals of predictions; 0 makes none")
    parser.add_argument(
        "--slice", metavar="COLUMN", action="append", help="score the values of this column on their own, too"
    )
    parser.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="any setting, such as loss.gamma=2"
    )
    parser.add_argument("--out", metavar="DIR", type=Path, help="the run folder to make")
    parser.add_argument(
        "--resume", action="store_true", help="go on with the interrupted run in --out; no TASK is needed"
    )
    add_processes(parser)
    parser.add_argument(
        "--shard", action="store_true", default=None, help="processes share out what each would hold whole"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line of standard output")
    parser.set_defaults(work=work)


def work(arguments: argparse.Namespace) -> int:
    """Check the settings, then run them here or in several processes."""
    catalog = load_catalog()
    given = (arguments.task, _flags(arguments), arguments.set)
    settings = choose_settings(catalog, *given, arguments.out, arguments.resume)
    if settings.split.startswith(FOLDS):
        return _cross_validate(arguments, settings, catalog)
    if arguments.processes > 1 and not is_worker():
        out = claim(arguments.out, settings.task, resume=arguments.resume).path
        advice = how_to_go_on(out, processes=arguments.processes)
        return launch(arguments.processes, [*arguments.argv, "--out", str(out)], advice=advice)
    from labtune.pipeline import run_settings

    run = run_settings(settings, out=arguments.out, resume=arguments.resume, catalog=catalog)
    if is_first_process():
        _tell(run.folder, run.metrics, as_json=arguments.json)
    return 0


def _cross_validate(arguments: argparse.Namespace, settings: Settings, catalog: Catalog) -> int:
    """Run every fold."""
    if arguments.processes > 1:
        raise SettingsError("cross-validation runs in one process: leave --processes out")
    from labtune.crossval import cross_validate

    folder, summary = cross_validate(settings, arguments.out, resume=arguments.resume, catalog=catalog)
    _tell(folder, summary, as_json=arguments.json)
    return 0


def _flags(arguments: argparse.Namespace) -> dict[str, Any]:
    files = {name: getattr(arguments, name) for name in DATA_FILES if getattr(arguments, name)}
    chosen = {name: getattr(arguments, name) for name in SETTINGS} | {"slices": arguments.slice}
    return chosen | ({"data": files} if files else {})


def _tell(folder: Path, metrics: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json({"run": str(folder), **metrics})
        return
    print_scores(metrics.get("test") or metrics.get("valid") or {}, metrics.get("baseline"))
    if "split" in metrics:
        print(f"split: {metrics['split']}")
    report = folder / "report.html"
    print(f"report: {report}" if report.exists() else f"folder: {folder}")
