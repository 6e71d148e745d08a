"""Checks of a plugin as a whole: it loads, stays light, and offers what it says."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from labtune.catalog import Catalog, resolve
from labtune.plugins import Plugin
from labtune.settings import Settings, resolve_settings
from labtune.specs import Component, Task

HEAVY = ("accelerate", "bitsandbytes", "numpy", "pandas", "peft", "scipy", "sklearn", "torch", "transformers")


@dataclass(frozen=True)
class Subject:
    """The plugin under test, among everything that is installed."""

    plugin: Plugin
    catalog: Catalog

    @property
    def components(self) -> list[Component]:
        """All components that the plugin offers."""
        return [offer for offers in self.plugin.offers.values() for offer in offers if isinstance(offer, Component)]

    @property
    def complete_tasks(self) -> list[Task]:
        """Tasks all of whose parts are installed."""
        return [task for task in self.plugin.offers.get("tasks", ()) if not any(self.catalog.missing(task))]


def check_loads(subject: Subject) -> None:
    """The plugin loads, its hooks are spelled right, and its names are its own."""
    assert not subject.plugin.error, subject.plugin.error
    assert any(subject.plugin.offers.values()), "the plugin offers nothing: is every hook marked with @hookimpl?"


def check_light(subject: Subject) -> None:
    """Importing the plugin module imports nothing heavy, so that listings stay fast."""
    code = f"import sys, {subject.plugin.module}; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, f"{subject.plugin.module} cannot be imported alone: {done.stderr.strip()[-200:]}"
    assert not done.stdout.strip(), f"importing {subject.plugin.module} imports {done.stdout.strip()}"


def check_targets(subject: Subject) -> None:
    """Every target can be imported, called, and says what it is."""
    for component in subject.components:
        target = resolve(component.target)
        assert callable(target), f"{component.name}: the target {component.target} cannot be called"
        assert target.__doc__, f"{component.name}: the target {component.target} has no docstring"
        assert component.summary, f"{component.name} has no summary"


def check_parts(subject: Subject) -> None:
    """Every task refers to parts that are installed."""
    for task in subject.plugin.offers.get("tasks", ()):
        missing = [f"{kind} {name}" for kind, name in subject.catalog.missing(task)]
        assert not missing, f"{task.name} needs {', '.join(missing)}, which no plugin offers"
        targets = [task.reader, task.examples, task.sample, task.baseline, task.similarity]
        for target in [*targets, *task.slices.values(), *task.views]:
            if target:
                resolve(target)


def check_presets(subject: Subject) -> None:
    """Every preset is valid, and survives being written as TOML and read back."""
    for task in subject.complete_tasks:
        assert task.presets, f"{task.name} has no preset"
        for preset in task.presets:
            settings = resolve_settings(subject.catalog, task.name, {"preset": preset.name})
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "run.toml"
                path.write_text(settings.to_toml())
                again = Settings.from_toml(path)
            assert again == settings, f"{task.name}: preset {preset.name!r} changes when written as TOML and read back"


PLUGIN_CHECKS: Mapping[str, Callable[[Subject], None]] = {
    "loads": check_loads,
    "light": check_light,
    "targets": check_targets,
    "parts": check_parts,
    "presets": check_presets,
}
