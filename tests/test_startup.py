"""Listing, help and discovery stay light, whatever is installed."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points

import pytest

from labtune.cli import COMMANDS

HEAVY = {
    "accelerate",
    "bitsandbytes",
    "datasets",
    "matplotlib",
    "numpy",
    "optuna",
    "pandas",
    "peft",
    "pyarrow",
    "safetensors",
    "scipy",
    "sklearn",
    "torch",
    "transformers",
}
LIGHT = ["", ".errors", ".specs", ".hookspecs", ".plugins", ".catalog", ".fields", ".settings", ".cli"]


def imported(statement: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter holds after a statement."""
    code = f"""
import contextlib, sys
with contextlib.suppress(SystemExit):
    {statement}
print(*sys.modules, file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in done.stderr.splitlines()[-1].split()}


def test_the_probe_sees_a_heavy_import():
    assert "numpy" in imported("import numpy")


@pytest.mark.parametrize("room", LIGHT)
def test_a_light_room_imports_nothing_heavy(room):
    assert not imported(f"import labtune{room}") & HEAVY


@pytest.mark.parametrize("words", [["--help"], ["tasks"], ["tasks", "--json"], ["plugins"], ["run", "no such task"]])
def test_listing_imports_nothing_heavy(words):
    assert not imported(f"from labtune.cli import main; main({words!r})") & HEAVY


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__.rpartition(".")[2])
def test_help_imports_nothing_heavy(command):
    name = command.__name__.rpartition(".")[2]
    assert not imported(f"from labtune.cli import main; main([{name!r}, '--help'])") & HEAVY


@pytest.mark.parametrize("point", entry_points(group="labtune.plugins"), ids=lambda point: point.name)
def test_an_installed_plugin_imports_nothing_heavy(point):
    assert not imported(f"import {point.module}") & HEAVY
