"""Collects the checks that apply to a plugin, and runs them under pytest or from the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import ModuleType
from typing import Any

from labtune.catalog import Catalog, load_catalog
from labtune.errors import LabtuneError, PluginError, nearest
from labtune.plugins import Plugin
from labtune.settings import resolve_settings
from labtune.specs import Task
from labtune.testing.bench import TaskBench
from labtune.testing.input_checks import INPUT_CHECKS
from labtune.testing.model_checks import MODEL_CHECKS
from labtune.testing.outcome_checks import OUTCOME_CHECKS
from labtune.testing.plugin_checks import PLUGIN_CHECKS, Subject

Check = Callable[[], None]
PART_TABLES = ("tokenizer", "head", "loss")


def checks_of(plugin: Plugin, catalog: Catalog) -> Iterator[tuple[str, Check]]:
    """Yield the id of each check and a function that raises AssertionError when the plugin fails it."""
    subject = Subject(plugin, catalog)
    for name, check in PLUGIN_CHECKS.items():
        yield name, partial(check, subject)
    for task in plugin.offers.get("tasks", ()):
        first, *others = _distinct_presets(task, catalog)
        for preset in (first, *others):
            bench = TaskBench(task, catalog, preset)
            checks = {**({} if preset in others else INPUT_CHECKS), **MODEL_CHECKS, **OUTCOME_CHECKS}
            for name, check_task in checks.items():
                yield f"{task.name}{f'.{preset}' if preset in others else ''}-{name}", partial(check_task, bench)


def parametrize_with_checks(
    plugin: ModuleType, *, expected_failures: Mapping[str, str] | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Parametrise a test over all checks of a plugin module.

    Parameters
    ----------
    plugin
        The module that the entry point names.
    expected_failures
        Check id to the reason why it fails for now; a check that then passes is an error, and so is an unknown id.
    """
    import pytest

    catalog, found = _installed(plugin)
    checks = dict(checks_of(found, catalog))
    expected = expected_failures or {}
    for unknown in expected.keys() - checks.keys():
        raise PluginError(f"expected_failures names no check {unknown!r}. {nearest(unknown, checks)}")
    cases = [
        pytest.param(
            check,
            id=name,
            marks=[pytest.mark.xfail(reason=expected[name], strict=True)] if name in expected else [],
        )
        for name, check in checks.items()
    ]
    return pytest.mark.parametrize("check", cases)


def run_checks(name: str, *, catalog: Catalog | None = None) -> Iterator[tuple[str, str | None]]:
    """Run every check of an installed plugin; yield its id, and why it failed or None.

    Raises
    ------
    PluginError
        If no such plugin is installed.
    """
    known = catalog or load_catalog()
    plugins = {plugin.name: plugin for plugin in known.report.plugins}
    if name not in plugins:
        raise PluginError(f"unknown plugin {name!r}. {nearest(name, plugins)}")
    for check_id, check in checks_of(plugins[name], known):
        try:
            check()
        except Exception as error:  # noqa: BLE001  a check must not stop the others, whatever the plugin does
            yield check_id, str(error).splitlines()[0] if str(error) else type(error).__name__
        else:
            yield check_id, None


def _distinct_presets(task: Task, catalog: Catalog) -> list[str]:
    """Name the first preset, and those that give other options to tokenizer, head or loss."""
    names: dict[str, str] = {}
    for preset in task.presets:
        try:
            settings = resolve_settings(catalog, task.name, {"preset": preset.name})
        except LabtuneError:  # told by another check
            continue
        names.setdefault(repr([getattr(settings, table) for table in PART_TABLES]), preset.name)
    return list(names.values()) or [""]


def _installed(module: ModuleType) -> tuple[Catalog, Plugin]:
    """Find the plugin that a module is; one without an entry point is loaded under the name of its package."""
    catalog = load_catalog()
    for plugin in catalog.report.plugins:
        if plugin.module == module.__name__:
            return catalog, plugin
    name = module.__name__.split(".")[0].removeprefix("labtune_")
    catalog = load_catalog(extra={name: module})
    return catalog, catalog.report.plugins[-1]
