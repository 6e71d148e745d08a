"""What the commands that train have in common: a task, its data, and its settings."""

from __future__ import annotations

import argparse
from typing import Any

from labtune.settings import DATA_FILES

FLAGS = {
    "preset": "named settings of the task",
    "encoder": "a hub id, a local folder, or a plugin's name",
    "method": "which weights learn: full, lora, …",
    "bits": "storage of the frozen weights: 32, 16, 8 or 4",
    "epochs": "passes over the training data",
    "seed": "of every random choice",
    "split": "how one file becomes three: stratified, …",
}
TASK = "a name from 'labtune tasks', or a file of settings"


def add_settings(parser: argparse.ArgumentParser, *, without: tuple[str, ...] = ()) -> None:
    """Add the data files, the settings with a flag of their own, and ``--set`` for all others."""
    for name in DATA_FILES:
        parser.add_argument(f"--{name}", metavar="FILE", help=f"records of the {name} split")
    for name, words in FLAGS.items():
        if name not in without:
            parser.add_argument(f"--{name}", help=words)
    parser.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="any setting, such as loss.gamma=2"
    )


def given_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what those flags were given; None stands for nothing."""
    files = {name: getattr(arguments, name) for name in DATA_FILES if getattr(arguments, name)}
    return {name: getattr(arguments, name, None) for name in FLAGS} | ({"data": files} if files else {})
